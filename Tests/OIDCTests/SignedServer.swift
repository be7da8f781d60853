// A server that takes the tokens of an issuer, on stores in memory.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import HTTPTypes
import Logging
import OIDC

@testable import BlobHTTP
@testable import HTTPServerCore

struct SignedServer: Sendable {
    let clock = ManualClock()
    let catalog: InMemoryCatalog
    let uploads: UploadService
    let authenticator: Authenticator
    private let chain: Chain

    static let issuer = "https://login.example.com/realms/Kassel"
    static let audience = "blobd"

    init(
        scopeClaim: String? = nil, scopes: String = "read=read,files.write=upload,files.write=delete",
        algorithms: Set<SigningAlgorithm> = Set(SigningAlgorithm.allCases), load: @escaping KeySource.Load
    ) throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        catalog = InMemoryCatalog(clock: clock)
        let backend = InMemoryBackend(catalog: catalog, bytes: InMemoryByteStore())
        let blobs = BlobLife(of: backend, logger: logger)
        uploads = UploadService(
            backend: backend, blobs: blobs,
            settings: UploadSettings(
                maximumBlobSize: 1 << 30, maximumOpenUploads: 10, quota: nil, uploadLifetime: .seconds(86_400),
                temporaryLifetime: .seconds(60)
            ),
            clock: clock
        )
        guard let scopes = ScopeMapping(parsing: scopes) else { throw CocoaError(.coderInvalidValue) }
        let verifier = TokenVerifier(
            policy: TokenPolicy(
                issuer: Self.issuer, audience: Self.audience, algorithms: algorithms, scopeClaim: scopeClaim,
                scopes: scopes
            ),
            keys: KeySource(algorithms: algorithms, clock: clock, logger: logger, load: load), clock: clock
        )
        authenticator = Authenticator(catalog: catalog, clock: clock, signedTokens: verifier.caller(token:))
        chain = Chain(
            [Files(FileService(catalog: catalog, blobs: blobs))], authenticator: authenticator, isReadOnly: false,
            log: RequestLog(logger: logger)
        )
    }

    /// Asks for the caller's files.
    ///
    /// - Returns: the status of the answer, and what the log tells.
    func listFiles(bearer: String) async -> (status: Int, notes: [String: String]) {
        let fields: HTTPFields = [.authorization: "Bearer \(bearer)"]
        let head = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/api/files", headerFields: fields)
        let body = RequestBody(length: 0) {}
        body.finish()
        let request = Request(head: head, body: body)
        let answer =
            switch chain.answer(to: request) {
            case .now(let answer): answer
            case .later(_, let answer): await answer()
            }
        return (answer.status.code, request.record.metadata.mapValues { "\($0)" })
    }

    /// Claims that let somebody in for an hour, with others in their place.
    func claims(_ changes: [String: String?] = [:]) -> String {
        let now = Int(clock.now.timeIntervalSince1970)
        var claims: [String: String?] = [
            "iss": "\"\(Self.issuer)\"", "aud": "\"\(Self.audience)\"", "sub": "\"ann\"", "exp": "\(now + 3600)",
            "scope": "\"openid read\"",
        ]
        claims.merge(changes) { $1 }
        return "{" + claims.compactMap { name, value in value.map { "\"\(name)\":\($0)" } }.joined(separator: ",") + "}"
    }
}
