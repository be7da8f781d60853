// From a request to its answer: find the route, let the caller in, run it.

import BlobCore
public import BlobStorage
import HTTPTypes
import NIOCore

/// The whole API over one set of services.
public struct API: Sendable {
    let uploads: UploadService
    let blobs: BlobService
    let files: FileService
    let authenticator: Authenticator
    let uploadTokens: UploadTokens
    let server: ServerRoutes
    let log: RequestLog
    let policy: DownloadPolicy
    let isReadOnly: Bool

    /// - Parameters:
    ///   - uploadTokens: derives upload tokens with the catalog's key.
    ///   - server: what the routes about the server itself tell.
    ///   - isReadOnly: whether every change is refused.
    public init(
        uploads: UploadService, blobs: BlobService, files: FileService, authenticator: Authenticator,
        uploadTokens: UploadTokens, server: ServerRoutes, log: RequestLog, policy: DownloadPolicy, isReadOnly: Bool
    ) {
        self.uploads = uploads
        self.blobs = blobs
        self.files = files
        self.authenticator = authenticator
        self.uploadTokens = uploadTokens
        self.server = server
        self.log = log
        self.policy = policy
        self.isReadOnly = isReadOnly
    }

    /// The answer, if it can be had without waiting: that of a public download of a blob that is open already.
    func immediateAnswer(to request: Request) -> Response? {
        guard !policy.isPrivate, request.method == .get, request.fields.count <= Self.mostFields,
            let name = Route.downloadName(request.path),
            let digest = try? BlobDigest(parsing: name), let opened = blobs.remembered(digest)
        else { return nil }
        var answer = policy.answer(to: request, with: opened)
        answer.route = Route.download("").name
        return answer
    }

    /// Where to answer a request. A download does nothing but wait for others and pass bytes on: on its connection's
    /// event loop no thread has to be woken for that. `nil` for the threads of all other tasks.
    func executor(for request: Request) -> (any TaskExecutor)? {
        guard request.method == .get, Route.downloadName(request.path) != nil else { return nil }
        return request.eventLoop.map(EventLoopExecutor.init)
    }

    /// The answer to a request; never throws, since an error is an answer too.
    func answer(to request: Request) async -> Response {
        var routeName = Route.unknownName
        var caller: Caller?
        var answer: Response
        do throws(BlobError) {
            guard request.path.utf8.count <= Self.longestPath else { throw .uriTooLong }
            guard request.fields.count <= Self.mostFields else { throw .headersTooLarge }
            let route = try Route(request.method, request.path)
            routeName = route.name
            caller = try await admit(request, to: route)
            if isReadOnly && route.isChange { throw .readOnly }
            answer = try await run(route, request, caller: caller)
        } catch {
            answer = Response(error)
        }
        if request.method == .head { answer.body = .empty }
        answer.route = routeName
        answer.subject = caller?.subject
        return answer
    }

    private static let longestPath = 8 * 1024

    /// The headers of a request. The decoder of HTTP/1.1 keeps to it before there is a request, that of HTTP/2 does
    /// not.
    static let mostFields = 100

    private func admit(_ request: Request, to route: Route) async throws(BlobError) -> Caller? {
        guard case .bearer(let scope) = route.access(privateDownloads: policy.isPrivate) else { return nil }
        let caller = try await authenticator.caller(secret: bearerToken(request.fields))
        guard caller.scopes.contains(scope) else {
            throw BlobError(.forbidden, "The token lacks the scope '\(scope.rawValue)', which this needs.")
        }
        return caller
    }

    private func run(_ route: Route, _ request: Request, caller: Caller?) async throws(BlobError) -> Response {
        switch route {
        case .download(let digest): try await download(digest, request)
        case .health: server.health()
        case .ready: await server.ready()
        case .metrics: await server.metrics()
        case .openAPI: server.openAPI()
        case .initiate: try await initiate(request, try signedIn(caller))
        case .append(let id): try await append(id, request, try signedIn(caller))
        case .status(let id): try await status(id, try signedIn(caller))
        case .complete(let id): try await complete(id, request, try signedIn(caller))
        case .destroy(let id): try await destroy(id, try signedIn(caller))
        case .files: try await listFiles(request, try signedIn(caller))
        case .file(let id): try await file(id, try signedIn(caller))
        case .destroyFile(let id): try await destroyFile(id, try signedIn(caller))
        }
    }

    /// The caller of a route that is not open to everybody.
    private func signedIn(_ caller: Caller?) throws(BlobError) -> Caller {
        guard let caller else { throw .needsToken }
        return caller
    }
}

extension BlobError {
    fileprivate static let readOnly = BlobError(
        .unavailable, "The server is read-only for now. What was acknowledged is safe; try again later."
    )
}

extension Route {
    /// Whether running it changes what is kept; to ask for an upload's status records what was told.
    fileprivate var isChange: Bool {
        switch self {
        case .initiate, .append, .status, .complete, .destroy, .destroyFile: true
        case .download, .files, .file, .health, .ready, .metrics, .openAPI: false
        }
    }

    /// The digest part of a download's path, found without taking the path apart; `nil` for any other path.
    static func downloadName(_ path: Substring) -> Substring? {
        let prefix = "/api/blobs/"
        guard path.utf8.starts(with: prefix.utf8) else { return nil }
        return path.dropFirst(prefix.utf8.count)
    }
}
