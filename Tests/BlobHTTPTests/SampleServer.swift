// A whole server but for its connections, on stores in memory.

import BlobCore
import BlobHTTP
import BlobStorage
import BlobStorageTesting
import HTTPTypes
import Logging

@testable import HTTPServerCore

/// A connection's requests, made directly.
struct SampleServer {
    let clock = ManualClock()
    let catalog: InMemoryCatalog
    let bytes = InMemoryByteStore()
    let blobs: BlobLife
    let surfaces: [any Surface]
    let chain: Chain

    init(
        privateDownloads: Bool = false, isReadOnly: Bool = false, limits: RateLimits? = nil,
        origins: AllowedOrigins? = nil, address: PublicAddress = .untold,
        logger: Logger = Logger(label: "test")
    ) {
        catalog = InMemoryCatalog(clock: clock)
        let backend = InMemoryBackend(catalog: catalog, bytes: bytes)
        blobs = BlobLife(of: backend, logger: logger)
        let uploads = UploadService(
            backend: backend, blobs: blobs,
            settings: UploadSettings(
                maximumBlobSize: 1 << 20, maximumOpenUploads: 10, quota: nil, uploadLifetime: .seconds(3600),
                temporaryLifetime: .seconds(60)
            ),
            clock: clock
        )
        let policy = DownloadPolicy(
            isPrivate: privateDownloads, crossOriginResourcePolicy: "same-site", clock: clock)
        surfaces = [
            PortSIPBlobs(
                uploads: uploads, blobs: blobs, uploadTokens: UploadTokens(secret: Array(0..<32)), downloads: policy,
                at: address),
            Files(FileService(catalog: catalog, blobs: blobs), at: address),
            Server(catalog: catalog, bytes: bytes, at: address, isReadOnly: isReadOnly) { "" },
        ]
        chain = Chain(
            surfaces, at: address, authenticator: Authenticator(catalog: catalog, clock: clock), isReadOnly: isReadOnly,
            limits: limits, origins: origins, log: RequestLog(logger: logger)
        )
    }

    func request(_ method: HTTPRequest.Method, _ path: String, _ fields: HTTPFields = [:]) -> Request {
        let head = HTTPRequest(method: method, scheme: nil, authority: nil, path: path, headerFields: fields)
        let body = RequestBody(length: 0) {}
        body.finish()
        return Request(head: head, body: body)
    }

    func answer(to request: Request) async -> Response {
        switch chain.answer(to: request) {
        case .now(let answer): answer
        case .later(_, let answer): await answer()
        }
    }
}
