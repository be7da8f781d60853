// Requests of HTTP/1.1: however the bytes are cut into pieces, they are the same requests.

import HTTPTypes
import NIOCore
import NIOHTTPTypes

@testable import HTTPServerCore

extension FuzzedParser {
    static let framings = [
        FuzzedParser("request") { try compareCuts($0) },
        FuzzedParser("host") { try compareCuts(Array("GET / HTTP/1.1\r\nHost: ".utf8) + $0 + ending) },
        FuzzedParser("target") {
            try compareCuts(Array("GET ".utf8) + $0 + Array(" HTTP/1.1\r\nHost: a".utf8) + ending)
        },
        FuzzedParser("chunks") {
            try compareCuts(
                Array("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked".utf8) + ending + $0)
        },
    ]

    private static let ending = Array("\r\n\r\n".utf8)

    private struct Outcome: Equatable {
        var heads: [HTTPRequest] = []
        var body: [UInt8] = []
        var ends: [HTTPFields?] = []
        var refusal: Refusal?
    }

    private static func compareCuts(_ bytes: [UInt8]) throws {
        let whole = outcome(of: bytes, inPiecesOf: max(1, bytes.count))
        for piece in [1, 3, 64] where piece < bytes.count {
            let cut = outcome(of: bytes, inPiecesOf: piece)
            try require(cut == whole, "in pieces of \(piece): \(cut), and whole: \(whole)")
        }
        for head in whole.heads {
            let line = (head.path ?? "") + (head.authority ?? "")
            try require(!line.utf8.contains { $0 <= 0x20 || $0 == 0x7F }, "a blank in \(head)")
        }
    }

    private static func outcome(of bytes: [UInt8], inPiecesOf piece: Int) -> Outcome {
        var decoder = RequestDecoder(isSecure: false)
        var outcome = Outcome()
        do throws(Refusal) {
            for start in stride(from: 0, to: bytes.count, by: piece) {
                decoder.add(ByteBuffer(bytes: bytes[start..<min(start + piece, bytes.count)]))
                while let part = try decoder.next() {
                    switch part {
                    case .head(let head): outcome.heads.append(head)
                    case .body(let buffer): outcome.body += Array(buffer.readableBytesView)
                    case .end(let trailers): outcome.ends.append(trailers)
                    }
                }
            }
        } catch {
            outcome.refusal = error
        }
        return outcome
    }
}
