// A request without a signature, as a browser makes it.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

enum PlainGet {
    static func get(_ url: URL) async throws -> (status: Int, body: String, disposition: String?) {
        let response = try await HTTPClient.shared.execute(
            HTTPClientRequest(url: url.absoluteString), timeout: .seconds(10))
        let body = try await response.body.collect(upTo: 1 << 20)
        return (Int(response.status.code), String(buffer: body), response.headers.first(name: "Content-Disposition"))
    }
}
