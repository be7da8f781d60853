// Which request asks for what.

import BlobCore
import HTTPTypes

/// What a request asks for. Identities are still text: whether they are well formed is for the route to say.
enum Route: Equatable, Sendable {
    case initiate
    case append(String)
    case status(String)
    case complete(String)
    case destroy(String)
    case download(String)
    case files
    case file(String)
    case destroyFile(String)
    case health
    case ready
    case metrics
    case openAPI

    /// Finds the route of a method and a path.
    ///
    /// - Throws: ``BlobError/Code/notFound``, ``BlobError/Code/methodNotAllowed``.
    init(_ method: HTTPRequest.Method, _ path: Substring) throws(BlobError) {
        let routes = Self.routes(at: path)
        if let (_, route) = routes.first(where: { $0.0 == method }) {
            self = route
            return
        }
        guard !routes.isEmpty else {
            throw BlobError(.notFound, "There is nothing at this path; /openapi.json lists what there is.")
        }
        let allowed = routes.map(\.0.rawValue)
        throw BlobError(
            .methodNotAllowed,
            "The method \(method.rawValue) is not for this path; \(allowed.joined(separator: ", ")) is.",
            detail: .allowedMethods(allowed)
        )
    }

    /// The methods and routes of a path; none for an unknown path. What can be got can be asked about with HEAD
    /// (RFC 9110 §9.1).
    private static func routes(at path: Substring) -> [(HTTPRequest.Method, Route)] {
        namedRoutes(at: path).flatMap { method, route in
            method == .get ? [(.get, route), (.head, route)] : [(method, route)]
        }
    }

    private static func namedRoutes(at path: Substring) -> [(HTTPRequest.Method, Route)] {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        return switch parts.count {
        case 1: serverRoutes(parts[0])
        case 2 where parts == ["api", "files"]: [(.get, .files)]
        case 3 where parts == ["api", "blobs", "uploads"]: [(.post, .initiate)]
        case 3 where parts.starts(with: ["api", "blobs"]): [(.get, .download(parts[2]))]
        case 3 where parts.starts(with: ["api", "files"]): [(.get, .file(parts[2]))]
        case 4 where parts.starts(with: ["api", "files"]) && parts[3] == "destroy": [(.post, .destroyFile(parts[2]))]
        case 5 where parts.starts(with: ["api", "blobs", "uploads"]): uploadRoutes(parts[4], id: parts[3])
        default: []
        }
    }

    private static func uploadRoutes(_ action: String, id: String) -> [(HTTPRequest.Method, Route)] {
        switch action {
        case "append": [(.post, .append(id))]
        case "status": [(.get, .status(id))]
        case "complete": [(.post, .complete(id))]
        case "destroy": [(.post, .destroy(id))]
        default: []
        }
    }

    private static func serverRoutes(_ name: String) -> [(HTTPRequest.Method, Route)] {
        switch name {
        case "health": [(.get, .health)]
        case "ready": [(.get, .ready)]
        case "metrics": [(.get, .metrics)]
        case "openapi.json": [(.get, .openAPI)]
        default: []
        }
    }

    /// The methods that any route knows.
    static let methods: Set<HTTPRequest.Method> = [.get, .head, .post]

    /// The name of what is none of the routes.
    static let unknownName = "unknown"

    /// The route's name in the log and the metrics.
    var name: String {
        switch self {
        case .initiate: "initiate"
        case .append: "append"
        case .status: "status"
        case .complete: "complete"
        case .destroy: "destroy"
        case .download: "download"
        case .files: "files"
        case .file: "file"
        case .destroyFile: "destroy-file"
        case .health: "health"
        case .ready: "ready"
        case .metrics: "metrics"
        case .openAPI: "openapi"
        }
    }
}
