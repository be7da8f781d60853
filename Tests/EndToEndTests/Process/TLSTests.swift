// Issue 2, `blobd`: TLS with a certificate of one's own or one that the server makes, HTTP/2 by ALPN. Spoken by curl.

import Foundation
import Glibc
import Testing

@Suite("TLS", .inTurn)
struct TLSTests {
    /// An upload in two pieces and a download.
    private func roundTrip(_ curl: [String], _ server: ServerProcess, version: String, size: Int) async throws {
        let bytes = try Sample.bytes(size)
        let digest = Sample.digest(of: bytes)
        let first = try server.folder.write(Array(bytes[..<(size / 3)]), to: "first")
        let second = try server.folder.write(Array(bytes[(size / 3)...]), to: "second")
        let authorization = ["-H", "Authorization: Bearer \(try server.adminToken())"]
        func run(_ arguments: [String], _ path: String) async throws -> Response {
            let answer = try await Curl.run(
                curl + authorization + arguments + [server.address + path], in: server.folder)
            #expect(answer.version == version)
            #expect(answer.response.headers["X-Request-ID"]?.isEmpty == false)
            return answer.response
        }
        func send(_ file: String) -> [String] {
            ["-X", "POST", "-H", "Content-Type: application/octet-stream", "--data-binary", "@" + file]
        }

        let upload = try Upload(await run(["-X", "POST"], "/api/blobs/uploads?filename=a.bin"))
        let token = ["-H", "PortSIP-Upload-Token: \(upload.token)"]
        let path = "/api/blobs/uploads/\(upload.id)"
        let appended = try await run(token + send(first), path + "/append")
        #expect(appended.status == 203)
        expect(appended, tellsOffset: size / 3)
        expect(try await run([], path + "/status"), tellsOffset: size / 3)
        let refused = try await run(token + ["-H", "Upload-Offset: 1"] + send(second), path + "/append")
        expect(refused, is: .offsetMismatch)
        let completed = try await run(token + send(second), path + "/complete?digest=\(digest)")
        #expect(completed.status == 201)
        let download = try await run([], "/api/blobs/\(digest)")
        #expect(download.status == 200 && download.body == bytes)
        #expect(download.headers["Repr-Digest"] == Sample.reprDigest(of: bytes))
        let part = try await run(["-r", "10-19"], "/api/blobs/\(digest)")
        #expect(part.status == 206 && part.body == Array(bytes[10..<20]))
        let head = try await run(["-I"], "/api/blobs/\(digest)")
        #expect(head.status == 200 && head.headers["Content-Length"] == String(size))
        let unauthorized = try await Curl.run(curl + [server.address + "/api/files"], in: server.folder)
        expect(unauthorized.response, is: .unauthorized)
    }

    @Test("--tls-self-signed: the API over HTTP/1.1 and HTTP/2", arguments: [("--http1.1", "1.1"), ("--http2", "2")])
    func selfSigned(_ option: String, _ version: String) async throws {
        try await withServer(["--tls-self-signed"]) { server in
            #expect(server.address.hasPrefix("https://127.0.0.1:"))
            for size in [1000, 8_000_000] {
                try await roundTrip(["-k", option], server, version: version, size: size)
            }
        }
    }

    /// A named pipe, `part`, with these bytes in it, and without an end while the handle is open.
    private static func pipe(holding bytes: [UInt8], in folder: TemporaryFolder) throws -> FileHandle {
        let path = folder.path + "/part"
        // Open for both, it need not wait for another to read.
        guard mkfifo(path, 0o600) == 0, case let descriptor = open(path, O_RDWR | O_CLOEXEC), descriptor >= 0 else {
            throw Failure("mkfifo: \(String(cString: strerror(errno)))")
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: Data(bytes))
        return handle
    }

    @Test("HTTP/2 connections that are cut keep what arrived")
    func cutHTTP2() async throws {
        try await withServer(["--tls-self-signed"]) { server in
            let bytes = try Sample.bytes(1000)
            let curl = ["-k", "--http2", "-H", "Authorization: Bearer \(try server.adminToken())"]
            let upload = try Upload(
                await Curl.run(curl + ["-X", "POST", server.address + "/api/blobs/uploads"], in: server.folder).response
            )
            // A pipe that gives 400 bytes and then nothing: curl sends them, waits, and gives up within the request.
            let pipe = try Self.pipe(holding: Array(bytes[..<400]), in: server.folder)
            defer { try? pipe.close() }
            let url = server.address + "/api/blobs/uploads/\(upload.id)"
            let command = "exec curl -sS --max-time 5 -X POST -T . \"$@\" < part"
            let arguments =
                curl + ["-H", "PortSIP-Upload-Token: \(upload.token)", "-H", "Content-Type:", url + "/append"]
            let cut = try await ChildProcess.run(["bash", "-c", command, "curl"] + arguments, in: server.folder.path)
            #expect(cut.end == .code(28), "curl gave up: \(cut)")
            let status = try await eventually("what arrived is kept") {
                let answer = try await Curl.run(curl + [url + "/status"], in: server.folder).response
                return answer.headers["Upload-Offset"] == "400" ? answer : nil
            }
            expect(status, tellsOffset: 400)
        }
    }

    @Test(
        "HTTP/2: who waits for 100 Continue is refused before any byte of the body, and the stream is no error",
        .enabled(if: Needs.openSSL))
    func expectation() async throws {
        try await withServer(["--tls-self-signed"]) { server in
            func field(_ name: String, _ value: String) -> [UInt8] {
                [0, UInt8(name.utf8.count)] + name.utf8 + [UInt8(value.utf8.count)] + value.utf8
            }
            let fields =
                field(":method", "POST") + field(":path", "/api/blobs/uploads") + field(":scheme", "https")
                + field(":authority", "a") + field("expect", "100-continue")
            let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
            // All headers, and no end of the stream.
            let headers = [0, 0, UInt8(fields.count), 1, 4, 0, 0, 0, 1] + fields
            let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
            _ = try server.folder.write(preface + settings + headers, to: "frames")
            let command = "timeout 3 openssl s_client -quiet -alpn h2 -connect \"$1\" < frames > answer"
            _ = try await ChildProcess.run(
                ["bash", "-c", command, "bash", "127.0.0.1:\(server.port)"], in: server.folder.path)
            let answer = Data(try server.folder.read("answer"))
            #expect(answer.range(of: Data("UNAUTHORIZED".utf8)) != nil)
            let (reset, noError): ([UInt8], [UInt8]) = ([0, 0, 4, 3, 0, 0, 0, 0, 1], [0, 0, 0, 0])
            #expect(answer.range(of: Data(reset + noError)) != nil)
        }
    }

    @Test("plain HTTP on a port with TLS is not answered as if it were TLS")
    func plain() async throws {
        try await withServer(["--tls-self-signed"]) { server in
            let connection = try await server.connect()
            defer { connection.close() }
            try await connection.send(Request.get("/health"))
            let raw = try? await connection.receiveIfAny()
            #expect(raw?.status != 200)
            let answer = try await Curl.run(["-k", server.address + "/health"], in: server.folder)
            #expect(answer.response.status == 200, "and the server goes on")
        }
    }
}

@Suite("A certificate of one's own", .inTurn, .enabled(if: Needs.openSSL, "needs the openssl command"))
struct CertificateTests {
    private static let curve = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]

    private func makeCertificate(_ name: String, key: [String] = curve, in folder: TemporaryFolder) async throws {
        let outcome = try await ChildProcess.run(
            ["openssl", "req", "-x509", "-newkey"] + key + [
                "-nodes", "-days", "2", "-subj", "/CN=\(name)", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                "\(name).key", "-out", "\(name).pem",
            ], in: folder.path)
        guard outcome.end == .code(0) else { throw Failure("openssl: \(outcome.errors)") }
    }

    @Test("--tls-certificate and --tls-key serve it, and it is read again when the files change")
    func reload() async throws {
        let folder = try TemporaryFolder()
        try await makeCertificate("first", in: folder)
        try await makeCertificate("second", in: folder)
        let files = FileManager.default
        for kind in ["pem", "key"] {
            try files.copyItem(atPath: "\(folder.path)/first.\(kind)", toPath: "\(folder.path)/used.\(kind)")
        }
        func trusts(_ name: String, _ server: ServerProcess) async throws -> Bool {
            let arguments = ["curl", "-sS", "--cacert", "\(name).pem", server.address + "/health"]
            return try await ChildProcess.run(arguments, in: folder.path).end == .code(0)
        }
        let flags = ["--tls-certificate", folder.path + "/used.pem", "--tls-key", folder.path + "/used.key"]
        try await withServer(flags) { server in
            #expect(try await trusts("first", server))
            #expect(try await !trusts("second", server))
            for kind in ["key", "pem"] {
                // With the permissions that it was made with: a key that others can read is not taken.
                #expect(rename("\(folder.path)/second.\(kind)", "\(folder.path)/used.\(kind)") == 0)
            }
            try files.copyItem(atPath: folder.path + "/used.pem", toPath: folder.path + "/second.pem")
            try await eventually("the new certificate is served", every: .milliseconds(500)) {
                try await trusts("second", server) ? true : nil
            }
        }
    }

    /// With a key of RSA, the suites without forward secrecy would be possible, too.
    @Test(
        "a scanner finds forward secrecy and authenticated encryption alone, and TLS 1.3 first",
        .enabled(if: Needs.scanner),
        arguments: [("ec", "ECDSA"), ("rsa:2048", "RSA")])
    func scan(key: String, signature: String) async throws {
        let folder = try TemporaryFolder()
        try await makeCertificate("used", key: key == "ec" ? Self.curve : [key], in: folder)
        let flags = ["--tls-certificate", folder.path + "/used.pem", "--tls-key", folder.path + "/used.key"]
        try await withServer(flags) { server in
            let scan = try await ChildProcess.run(
                ["sslscan", "--no-colour", "--xml=scan.xml", "127.0.0.1:\(server.port)"], in: folder.path)
            #expect(scan.end == .code(0), "\(scan)")
            let report = Report(String(decoding: try folder.read("scan.xml"), as: UTF8.self))
            let newest = ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256"].map { "TLS_" + $0 }
            let older = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"].map {
                "ECDHE-\(signature)-\($0)"
            }
            #expect(report.values(of: "cipher", in: "cipher").sorted() == (newest + older).sorted())
            #expect(report.values(of: "version", in: "protocol", where: ("enabled", "1")) == ["1.2", "1.3"])
            #expect(report.values(of: "sslversion", in: "cipher").first == "TLSv1.3")
            #expect(report.values(of: "vulnerable", in: "heartbleed").allSatisfy { $0 == "0" })
            #expect(report.values(of: "supported", in: "renegotiation") == ["0"])
        }
    }

    /// What `sslscan` writes: one element to a line.
    private struct Report {
        private let lines: [String]

        init(_ text: String) { lines = text.split(separator: "\n").map(String.init) }

        func values(of name: String, in element: String, where condition: (String, String)? = nil) -> [String] {
            lines.filter { $0.contains("<\(element) ") }
                .filter { line in condition.map { Self.value(of: $0, in: line) == $1 } ?? true }
                .compactMap { Self.value(of: name, in: $0) }
        }

        private static func value(of name: String, in line: String) -> String? {
            line.firstRange(of: " \(name)=\"").map { String(line[$0.upperBound...].prefix { $0 != "\"" }) }
        }
    }
}
