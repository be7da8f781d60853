// The Blobs section of the reference API: its list of operations.

import BlobCore
public import BlobStorage
import HTTPTypes

/// Uploads and downloads as PortSIP's REST API has them.
public struct PortSIPBlobs: Surface {
    let uploads: UploadService
    let blobs: BlobLife
    let uploadTokens: UploadTokens
    let policy: DownloadPolicy
    let address: PublicAddress

    /// - Parameters:
    ///   - uploadTokens: derives upload tokens with the catalog's key.
    ///   - address: whose path goes before those that answers name.
    public init(
        uploads: UploadService, blobs: BlobLife, uploadTokens: UploadTokens, downloads policy: DownloadPolicy,
        at address: PublicAddress = .untold
    ) {
        self.uploads = uploads
        self.blobs = blobs
        self.uploadTokens = uploadTokens
        self.policy = policy
        self.address = address
    }

    public var endpoints: [Endpoint] {
        let uploads = "/api/blobs/uploads"
        return [
            Endpoint(.post, uploads, "initiate", for: .upload, isChange: true, initiate).audited(as: .begin),
            Endpoint(.post, uploads + "/{id}/append", "append", for: .upload, isChange: true, append),
            // To ask for an upload's status records the offset that was told.
            Endpoint(.get, uploads + "/{id}/status", "status", for: .upload, isChange: true, status),
            Endpoint(.post, uploads + "/{id}/complete", "complete", for: .upload, isChange: true, complete)
                .audited(as: .complete),
            Endpoint(.post, uploads + "/{id}/destroy", "destroy", for: .upload, isChange: true, destroy)
                .audited(as: .destroy),
            policy.isPrivate ? privateDownload : publicDownload,
        ]
    }

    private var publicDownload: Endpoint {
        Endpoint.open(.get, "/api/blobs/{digest}", "download", download).onEventLoop()
            .answering(atOnce: rememberedDownload)
    }

    private var privateDownload: Endpoint {
        Endpoint(.get, "/api/blobs/{digest}", "download", for: .read) { request, path, _ in
            try await download(request, path)
        }.onEventLoop()
    }
}

extension HTTPField.Name {
    static let uploadID = name("PortSIP-Upload-ID")
    static let uploadToken = name("PortSIP-Upload-Token")
    static let uploadOffset = name("Upload-Offset")
    static let uploadExpires = name("Upload-Expires")
    static let reprDigest = name("Repr-Digest")
    static let crossOriginResourcePolicy = name("Cross-Origin-Resource-Policy")

    private static func name(_ text: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(text) else { preconditionFailure("\(text) is a field name") }
        return name
    }
}
