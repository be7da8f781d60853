// Contract, limits and overload: the limits of storage. Each refusal leaves everything as it was before.

import Foundation
import Testing

@Suite("The maximum blob size", .inTurn)
struct BlobSizeLimitTests {
    static let flags = ["--max-blob-size", "64KiB"]

    @Test("more bytes than it: 413 SIZE_INVALID before the body is read; what had come before stays")
    func announced() async throws {
        try await withServer(Self.flags) { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(65_536)
            let upload = try await client.upload(holding: Array(bytes[..<40_000]))
            for request in [
                Request.append(to: upload, try Sample.bytes(25_537)),
                .complete(upload, .bytes(try Sample.bytes(25_537))),
            ] {
                expect(try await client.send(request), is: .tooLarge, naming: "65536")
                #expect(try await client.offset(of: upload) == 40_000)
            }
            try await client.finish(upload, with: bytes)
        }
    }

    @Test("counted as they come, also for chunked bodies")
    func chunked() async throws {
        try await withServer(Self.flags) { server in
            let client = try server.admin()
            for complete in [false, true] {
                let bytes = try Sample.bytes(100_000)
                let upload = try await client.upload(holding: Array(bytes[..<40_000]))
                let pieces = stride(from: 40_000, to: 100_000, by: 10_000).map { Array(bytes[$0..<$0 + 10_000]) }
                let body = Request.Body.chunked(pieces)
                let request: Request = complete ? .complete(upload, body) : .append(to: upload, body)
                expect(try await client.send(request), is: .tooLarge, naming: "65536")
                let offset = try await client.offset(of: upload)
                #expect((40_000...65_536).contains(offset))
                let kept = Array(bytes[..<offset])
                #expect(try await !client.isPublished(kept))
                try await client.finish(upload, with: kept)
            }
        }
    }

    @Test("exactly as many bytes are taken, announced or chunked")
    func exactly() async throws {
        try await withServer(Self.flags) { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(65_536)
            for body in [Request.Body.bytes(bytes), .chunked([bytes])] {
                let published = try await client.complete(client.initiate(), body)
                #expect(published.digest == Sample.digest(of: bytes))
            }
        }
    }

    @Test(
        "a size that no Int64 holds is refused, and nothing happens",
        arguments: ["9223372036854775808", "18446744073709551615", "99999999999999999999"])
    func beyondInt64(_ length: String) async throws {
        try await isRefused(length, [.tooLarge, .badRequest, .sizeInvalid, .validateFailed])
    }

    @Test("the largest Int64 does not overflow when it is added to what is there")
    func largestInt64() async throws {
        try await isRefused(String(Int64.max), [.tooLarge])
    }

    private func isRefused(_ length: String, _ refusals: [Refusal]) async throws {
        let client = try await Client.shared
        let upload = try await client.upload(holding: [1, 2, 3])
        let connection = try await client.server.connect()
        defer { connection.close() }
        let request = Request.append(to: upload, [], ["Content-Length": length])
        try await connection.send(client.signed(request).head)
        let response = try await connection.receive(for: "POST")
        expect(response, isOneOf: refusals)
        #expect(try await client.offset(of: upload) == 3)
    }
}

@Suite("Open uploads", .inTurn)
struct OpenUploadLimitTests {
    @Test("over its number: 429 TOOMANYREQUESTS with Retry-After; each subject has its own")
    func limit() async throws {
        try await withServer(["--max-open-uploads", "2"]) { server in
            let client = try await server.client()
            let first = try await client.initiate()
            let second = try await client.upload(holding: [1])
            let refused = try await client.send(.initiate())
            expect(refused, is: .tooManyRequests)
            #expect(refused.headers["Retry-After"].flatMap { Int($0) } != nil)
            _ = try await server.admin().initiate()

            #expect(try await client.send(.destroy(first)).status == 204)
            _ = try await client.initiate()
            expect(try await client.send(.initiate()), is: .tooManyRequests)
            _ = try await client.complete(second)
            _ = try await client.initiate()
            expect(try await client.send(.initiate()), is: .tooManyRequests)
        }
    }

    @Test("an expired upload does not count")
    func expired() async throws {
        try await withServer(["--max-open-uploads", "1", "--upload-expiry", "1s", "--reclaim-interval", "1s"]) {
            server in
            let client = try server.admin()
            _ = try await client.initiate()
            try await eventually("the number is free again") {
                try await client.send(.initiate()).status == 202 ? true : nil
            }
        }
    }
}

@Suite("The quota", .inTurn)
struct QuotaTests {
    static let flags = ["--quota", "64KiB"] + ReclaimTests.flags

    @Test("over it: 403 DENIED; the offset stays true, other subjects are not concerned")
    func denied() async throws {
        try await withServer(Self.flags) { server in
            let client = try await server.client()
            let bytes = try Sample.bytes(40_000)
            _ = try await client.publish(bytes)
            let upload = try await client.upload(holding: Array(bytes[..<20_000]))
            expect(try await client.send(.append(to: upload, bytes)), is: .denied, naming: "65536")
            expect(try await client.send(.complete(upload, .bytes(bytes))), is: .denied, naming: "65536")
            #expect(try await client.offset(of: upload) == 20_000)
            expect(try await client.send(.append(to: upload, .chunked([bytes]))), is: .denied, naming: "quota")
            let offset = try await client.offset(of: upload)
            #expect((20_000...25_536).contains(offset))
            let other = try await server.client()
            _ = try await other.publish(bytes)
            #expect(try await client.send(.download(Sample.digest(of: bytes))).body == bytes)
        }
    }

    @Test("what is destroyed does not count")
    func freed() async throws {
        try await withServer(Self.flags) { server in
            let client = try await server.client()
            let file = try await client.publish(Sample.bytes(40_000))
            let upload = try await client.upload(holding: Sample.bytes(20_000))
            let bytes = try Sample.bytes(40_000)
            #expect(try await client.send(.destroyFile(file.id)).status == 204)
            #expect(try await client.send(.destroy(upload)).status == 204)
            try await eventually("the quota is free again") {
                let response = try await client.send(.complete(client.initiate(), .bytes(bytes)))
                return response.status == 201 ? true : nil
            }
        }
    }
}

@Suite("Free space", .inTurn)
struct FreeSpaceTests {
    @Test("under the configured floor: 507 INSUFFICIENT_STORAGE; the offset stays true; downloads go on")
    func floor() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(1000)
            let published = try await client.publish(bytes)
            let rest = try Sample.bytes(2000)
            let upload = try await client.upload(holding: Array(rest[..<500]))
            let (unwanted, removed) = (try await client.initiate(), try await client.publish([1, 2, 3]))

            try await server.restart(["--min-free-space", "1000000GiB"])
            let body = Array(rest[500...])
            for request in [
                Request.initiate(), .append(to: upload, body), .append(to: upload, .chunked([body])),
                .complete(upload), .complete(upload, .bytes(body)),
            ] {
                expect(try await client.send(request), is: .insufficientStorage)
                expect(try await client.send(.status(of: upload)), tellsOffset: 500)
            }
            #expect(try await client.send(.download(published.digest)).body == bytes)
            #expect(try await client.send(.files()).status == 200)
            #expect(try await client.send(.destroy(unwanted)).status == 204)
            #expect(try await client.send(.destroyFile(removed.id)).status == 204)

            try await server.restart()
            try await client.finish(upload, with: rest)
        }
    }
}

@Suite("A store that is away", .inTurn)
struct UnreachableStoreTests {
    @Test("503 UNAVAILABLE with Retry-After; when it is back, all goes on")
    func away() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(1000)
            let published = try await client.publish(Sample.bytes(100))
            let upload = try await client.upload(holding: Array(bytes[..<600]))
            // After a restart the server has none of their files open.
            try await server.restart()
            for folder in ["uploads", "blobs"] { try server.takeAway(folder) }
            for request in [Request.append(to: upload, Array(bytes[600...])), .download(published.digest)] {
                let response = try await client.send(request)
                expect(response, is: .unavailable)
                #expect(response.headers["Retry-After"].flatMap { Int($0) } != nil)
            }
            for folder in ["uploads", "blobs"] { try server.putBack(folder) }
            expect(try await client.send(.status(of: upload)), tellsOffset: 600)
            try await client.finish(upload, with: bytes)
            #expect(try await client.send(.download(published.digest)).status == 200)
        }
    }
}

@Suite("File descriptors", .inTurn, .enabled(if: Needs.compiler, "needs a C compiler"))
struct DescriptorTests {
    /// Lets the system refuse to open what holds bytes, while a file says so. Taking a process's files away altogether
    /// would end it: Swift's runtime opens some of its own.
    private static let shim = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <stdarg.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>

        #define OPENING(name)                                                                          \\
            int name(const char *path, int flags, ...) {                                               \\
                va_list rest;                                                                          \\
                va_start(rest, flags);                                                                 \\
                int mode = va_arg(rest, int);                                                          \\
                va_end(rest);                                                                          \\
                if ((strstr(path, "/blobs/") || strstr(path, "/uploads")) && !access(getenv("REFUSING"), F_OK)) { \\
                    errno = EMFILE;                                                                    \\
                    return -1;                                                                         \\
                }                                                                                      \\
                return ((int (*)(const char *, int, ...)) dlsym(RTLD_NEXT, #name))(path, flags, mode); \\
            }
        OPENING(open)
        OPENING(open64)
        """

    @Test("out of them: 503 UNAVAILABLE with Retry-After, and all is well again when there are some")
    func exhausted() async throws {
        try await withServer { server in
            _ = try server.folder.write(Array(Self.shim.utf8), to: "shim.c")
            let compiled = try await ChildProcess.run(
                ["cc", "-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl"], in: server.folder.path)
            #expect(compiled.end == .code(0), "\(compiled)")
            let client = try server.admin()
            let bytes = try Sample.bytes(300_000)
            let published = try await client.publish(bytes)
            let upload = try await client.upload(holding: [1, 2, 3])
            let remembered = try await client.publish(Sample.bytes(200_000))
            // After a restart the server has none of these files open, and then one of them.
            #expect(try await server.stop() == .code(0))
            let refusing = server.folder.path + "/refusing"
            try await server.start(
                ["--log-level", "error"],
                environment: ["LD_PRELOAD": server.folder.path + "/shim.so", "REFUSING": refusing])
            #expect(try await client.send(.download(remembered.digest)).status == 200)

            _ = try server.folder.write([], to: "refusing")
            #expect(try await client.send(.download(remembered.digest)).status == 200, "it takes no other file")
            for request: Request in [.download(published.digest), .append(to: upload, [4])] {
                let response = try await client.send(request)
                expect(response, is: .unavailable)
                #expect(response.headers["Retry-After"].flatMap { Int($0) } != nil)
            }
            let line = try await server.child?.errors.line { line in
                line.contains(upload.id) && line.contains("code=")
            }
            #expect(line?.contains("code=UNAVAILABLE error=") == true, "it is logged: \(line ?? "no line")")
            try FileManager.default.removeItem(atPath: refusing)
            #expect(try await client.send(.download(published.digest)).body == bytes)
            #expect(try await client.offset(of: upload) == 3)
            expect(try await client.send(.append(to: upload, [4])), tellsOffset: 4)
        }
    }
}
