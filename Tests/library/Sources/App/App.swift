// An app that uses BlobClient as docs/client.md tells: uploads a file, and downloads it under another name.

import BlobClient
import BlobCore

@main
struct App {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count == 4 else { fatalError("usage: App ADDRESS TOKEN FILE COPY") }
        let (address, token, original, copy) = (arguments[1], arguments[2], arguments[3], arguments[4])

        let client = try BlobServiceClient(address, token: token)
        let file = try await client.upload(file: original)
        let digest = try BlobDigest(parsing: file.digest ?? "")
        try await client.download(digest, to: copy)
        await client.shutdown()
        print(digest)
    }
}
