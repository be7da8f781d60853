// Requests of HTTP/1.1 from bytes, without a connection: RFC 9112 to the letter, and however the bytes are cut.

import HTTPTypes
import NIOCore
import NIOHTTPTypes
import Testing

@testable import HTTPServerCore

@Suite struct RequestDecoderTests {
    /// A request, as far as it came.
    struct Outcome: Equatable {
        var heads: [HTTPRequest] = []
        var body = ""
        var ends = 0
        var trailers: [HTTPFields] = []
        var refusal: Refusal?
    }

    /// - Parameter piece: in so many bytes each.
    private static func outcome(of bytes: [UInt8], inPiecesOf piece: Int) -> Outcome {
        var decoder = RequestDecoder(isSecure: false)
        var outcome = Outcome()
        do throws(Refusal) {
            for start in stride(from: 0, to: bytes.count, by: piece) {
                decoder.add(ByteBuffer(bytes: bytes[start..<min(start + piece, bytes.count)]))
                while let part = try decoder.next() {
                    switch part {
                    case .head(let head): outcome.heads.append(head)
                    case .body(let buffer): outcome.body += String(buffer: buffer)
                    case .end(let trailers):
                        outcome.ends += 1
                        if let trailers { outcome.trailers.append(trailers) }
                    }
                }
            }
        } catch {
            outcome.refusal = error
        }
        return outcome
    }

    private func outcome(of text: String) throws -> Outcome {
        let whole = Self.outcome(of: Array(text.utf8), inPiecesOf: .max)
        for piece in [1, 2, 3, 7, 100] {
            let cut = Self.outcome(of: Array(text.utf8), inPiecesOf: piece)
            #expect(cut == whole, "in pieces of \(piece)")
        }
        return whole
    }

    static let head = "Host: a\r\n\r\n"

    @Test(
        "a target, and what it asks whom for",
        arguments: [
            ("GET / HTTP/1.1", "/", "a"), ("GET /a/%20b?c=d&e HTTP/1.1", "/a/%20b?c=d&e", "a"),
            ("GET http://other:80/a?b HTTP/1.1", "/a?b", "other:80"), ("GET HTTPS://other HTTP/1.1", "/", "other"),
            ("GET http://other?a=b HTTP/1.1", "/?a=b", "other"), ("OPTIONS * HTTP/1.1", "*", "a"),
            ("CONNECT other:443 HTTP/1.1", "other:443", "a"), ("GET //b HTTP/1.1", "//b", "a"),
            ("GET /a|b HTTP/1.2", "/a|b", "a"), ("GET http://[::1]:80/ HTTP/1.1", "/", "[::1]:80"),
        ])
    func target(_ line: String, _ path: String, _ authority: String) throws {
        let outcome = try outcome(of: line + "\r\n" + Self.head)
        let request = try #require(outcome.heads.first)
        #expect(request.path == path && request.authority == authority && outcome.ends == 1)
    }

    @Test(
        "what is no request of HTTP/1.1 is refused",
        arguments: [
            "GET  / HTTP/1.1\r\n", "GET / HTTP/1.1 \r\n", " GET / HTTP/1.1\r\n", "GET /\r\n", "GET / RTSP/1.0\r\n",
            "GET / http/1.1\r\n", "GET / HTTP/2.0\r\n", "GET / HTTP/1.10\r\n", "GET a HTTP/1.1\r\n",
            "GET /#b HTTP/1.1\r\n",
            "GET * HTTP/1.1\r\n", "GET http:///a HTTP/1.1\r\n", "GET http://a@b/ HTTP/1.1\r\n",
            "GET ftp://a/ HTTP/1.1\r\n",
            "G(T / HTTP/1.1\r\n", "GET / HTTP/1.1\n", "GET / HTTP/1.1\rX: y\r\n", "\u{16}\u{3}\u{1}",
            "GET /\t HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nHost: b\r\n", "GET / HTTP/1.1\r\nHost: b c\r\n", "GET / HTTP/1.1\r\nHost: b/c\r\n",
            "GET / HTTP/1.1\r\nA : b\r\n", "GET / HTTP/1.1\r\nA: b\r\n c\r\n", "GET / HTTP/1.1\r\nA\r\n",
            "GET / HTTP/1.1\r\n: b\r\n", "GET / HTTP/1.1\r\nA: b\u{0}c\r\n", "GET / HTTP/1.1\r\nA: b\rc\r\n",
            "GET / HTTP/1.1\r\nA: b\n", "GET / HTTP/1.1\r\nÄ: b\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n", "POST / HTTP/1.1\r\nContent-Length: +1\r\n",
            "POST / HTTP/1.1\r\nContent-Length:\r\n", "POST / HTTP/1.1\r\nContent-Length: 1 1\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: ,\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ])
    func malformed(_ bytes: String) throws {
        let outcome = try outcome(of: bytes + Self.head)
        guard case .malformed = outcome.refusal else {
            Issue.record("\(outcome)")
            return
        }
        #expect(outcome.heads.isEmpty)
    }

    @Test(
        "the host is named once, and is one",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n", false), ("GET / HTTP/1.0\r\n\r\n", true),
            ("GET http://a/ HTTP/1.1\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", true), ("GET / HTTP/1.1\r\nHost: a:99999999\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a:8a\r\n\r\n", false), ("GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHOST:\t a.b-c_d:80 \r\n\r\n", true), ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n", true), ("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", false), ("GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: []\r\n\r\n", false), ("GET / HTTP/1.1\r\nHost: []:80\r\n\r\n", false),
            ("GET http://[]/ HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("GET http://a:99999/ HTTP/1.1\r\nHost: a\r\n\r\n", false),
        ])
    func host(_ bytes: String, _ isTaken: Bool) throws {
        #expect(try outcome(of: bytes).heads.count == (isTaken ? 1 : 0))
    }

    @Test(
        "a transfer coding that is not known is told apart",
        arguments: [
            "gzip, chunked", "GZIP ,\t,X-Compress,,Chunked,", "identity", "identity, chunked", "chunked;a=b",
            "gzip chunked", "xchunked",
        ])
    func unknownCoding(_ coding: String) throws {
        let outcome = try outcome(of: "POST / HTTP/1.1\r\nTransfer-Encoding: \(coding)\r\n" + Self.head)
        #expect(outcome.refusal == .unknownTransferCoding)
    }

    @Test("an old client's connection ends, unless it asks to stay, and it expects nothing")
    func oldVersion() throws {
        let plain = try outcome(of: "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")
        #expect(plain.heads.first?.headerFields == [.connection: "close"])
        let staying = try outcome(of: "GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n")
        #expect(staying.heads.first?.headerFields == [.connection: "x, Keep-Alive"])
    }

    @Test("requests behind each other, with bodies of each kind, and empty lines between them")
    func several() throws {
        let outcome = try outcome(
            of: "\r\n\r\nPOST /1 HTTP/1.1\r\nContent-Length: 5\r\n\(Self.head)hello\r\n"
                + "POST /2 HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\(Self.head)"
                + "003 ; a=\"b\"\r\n, w\r\nA\r\norld, and \r\n0\r\nX-Sum: 1\r\n\r\nGET /3 HTTP/1.1\r\n\(Self.head)")
        #expect(outcome.heads.map(\.path) == ["/1", "/2", "/3"])
        #expect(outcome.body == "hello, world, and " && outcome.ends == 3 && outcome.refusal == nil)
        let name = try #require(HTTPField.Name("X-Sum"))
        #expect(outcome.trailers == [[name: "1"]])
    }

    @Test(
        "chunks that are none are refused, and what came before them counts",
        arguments: [
            "zz\r\n", "\r\n", "-1\r\n", "5;\u{0}\r\nhello\r\n", "5 x\r\nhello\r\n", "5 \r\nhello\r\n",
            "5\t\r\nhello\r\n", "5\nhello\r\n", "5\r\nhello!\r\n",
            "5\r\nhello\n", "0000000000000005\r\nhello\r\n", "FFFFFFFFFFFFFFFF\r\n", "0x5\r\nhello\r\n",
            "0\r\nX\r\n\r\n",
            "0\r\nX: y\n\r\n", "5;\(String(repeating: "a", count: 1024))\r\nhello\r\n",
        ])
    func chunks(_ bad: String) throws {
        let outcome = try outcome(
            of: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\(Self.head)4\r\ngood\r\n" + bad)
        guard case .malformed = outcome.refusal else {
            Issue.record("\(outcome)")
            return
        }
        #expect(outcome.body.hasPrefix("good") && outcome.ends == 0)
    }

    @Test("extensions of many chunks together, and trailers, are bounded")
    func bounds() throws {
        let start = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\(Self.head)"
        let extensions = String(repeating: "1;aaaaaaaaa\r\nx\r\n", count: 103)
        #expect(try outcome(of: start + extensions).body.count == 102)
        let trailers = (0..<100).map { "X-\($0): \(String(repeating: "a", count: 100))\r\n" }.joined()
        #expect(try outcome(of: start + "0\r\n" + trailers).refusal == .headersTooLarge)
    }

    @Test(
        "a head that is too large is refused before its end",
        arguments: [
            ("GET /\(String(repeating: "a", count: 20_000))", Refusal.requestLineTooLong),
            ("GET / HTTP/1.1\r\nA: \(String(repeating: "a", count: 9000))", .headersTooLarge),
            ("GET / HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: 102), .headersTooLarge),
            (
                "GET / HTTP/1.1\r\n" + String(repeating: "A: \(String(repeating: "a", count: 8000))\r\n", count: 7),
                .headersTooLarge
            ),
        ])
    func tooLarge(_ bytes: String, _ refusal: Refusal) throws {
        #expect(try outcome(of: bytes).refusal == refusal)
    }

    @Test("a length that does not fit is longer than any blob")
    func hugeLength() throws {
        let outcome = try outcome(
            of: "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\(Self.head)abc")
        #expect(outcome.heads.first?.contentLength == .max && outcome.body == "abc" && outcome.ends == 0)
    }
}
