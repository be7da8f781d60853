// Contract, limits: what a subject may take up holds whatever its requests do at the same time, and however fast it
// deletes what it sent.

import Foundation
import Testing

@Suite("A quota that many requests share", .inTurn)
struct SharedQuotaTests {
    @Test("appends that run at the same time keep it together; the refused ones tell the true offset")
    func concurrentAppends() async throws {
        try await withServer(["--quota", "1MiB"]) { server in
            let client = try await server.client()
            let bytes = try Sample.bytes(300_000)
            var appends: [(Upload, HTTPConnection)] = []
            for _ in 0..<10 {
                let (upload, connection) = (try await client.initiate(), try await server.connect())
                try await client.startAppend(to: upload, .announced(300_000), on: connection)
                appends.append((upload, connection))
            }
            var kept = 0
            for (upload, connection) in appends {
                try await connection.send(bytes)
                let answer = try await client.receive(.append(to: upload, []), on: connection)
                if answer.status == 203 {
                    kept += 1
                } else {
                    expect(answer, is: .denied, naming: "quota")
                    expect(answer, tellsOffset: 0)
                }
                connection.close()
            }
            #expect(kept == 3)
            for (index, (upload, _)) in appends.enumerated() {
                #expect(try await client.offset(of: upload) == (index < kept ? 300_000 : 0))
            }
            // What was taken was paid for: to complete it costs nothing more.
            for (upload, _) in appends.prefix(kept) {
                #expect(try await client.complete(upload).digest == Sample.digest(of: bytes))
            }
        }
    }

    @Test("completions that run at the same time keep it together, and the refused ones publish nothing")
    func concurrentCompletions() async throws {
        try await withServer(["--quota", "1MiB"]) { server in
            let client = try await server.client()
            let bytes = try Sample.bytes(300_000)
            var completions: [(Upload, HTTPConnection, [UInt8])] = []
            for number in UInt8(0)..<10 {
                let (upload, connection) = (try await client.initiate(), try await server.connect())
                let expectation: Headers = ["Expect": "100-continue", "Content-Length": "\(bytes.count)"]
                try await connection.send(client.signed(.complete(upload, .none, expectation)).head)
                #expect(try await connection.receiveInformational() == 100)
                completions.append((upload, connection, [number] + bytes.dropFirst()))
            }
            var kept = 0
            for (upload, connection, bytes) in completions {
                try await connection.send(bytes)
                let answer = try await client.receive(.complete(upload), on: connection)
                if answer.status == 201 { kept += 1 } else { expect(answer, is: .denied, naming: "quota") }
                #expect(try await client.isPublished(bytes) == (answer.status == 201))
                connection.close()
            }
            #expect(kept == 3)
        }
    }

    @Test("a file counts its bytes in blocks of 4 KiB, and 512 bytes for its rows: no bytes are not for nothing")
    func rowsAndBlocks() async throws {
        for (bytes, count) in [([], 32), ([1], 3)] as [([UInt8], Int)] {
            try await withServer(["--quota", "16KiB"]) { server in
                let client = try await server.client()
                for _ in 0..<count { _ = try await client.publish(bytes) }
                let begun = try await client.send(.initiate())
                guard begun.status == 202 else { return expect(begun, is: .denied, naming: "quota") }
                expect(try await client.send(.complete(Upload(begun), .bytes(bytes))), is: .denied, naming: "quota")
            }
        }
    }

    @Test("to delete makes room at once, and what the disk still holds of it is never more than the quota again")
    func deleted() async throws {
        try await withServer(["--quota", "256KiB", "--reclaim-grace", "1h"]) { server in
            let client = try await server.client()
            for number in UInt8(0)..<2 {
                let file = try await client.publish(try [number] + Sample.bytes(200_000))
                #expect(try await client.send(.destroyFile(file.id)).status == 204)
            }
            let upload = try await client.initiate()
            let refused = try await client.send(.complete(upload, .bytes(Sample.bytes(200_000))))
            expect(refused, is: .denied, naming: "deleted")
            // What is here still counts for nobody else, and less goes on.
            _ = try await client.complete(upload, .bytes(Sample.bytes(50_000)))
            _ = try await server.client().publish(Sample.bytes(200_000))
        }
    }

    @Test("uploads that are begun at the same time keep their number")
    func concurrentInitiates() async throws {
        try await withServer(["--max-open-uploads", "5"]) { server in
            let client = try await server.client()
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<30 { group.addTask { try await client.send(.initiate()).status } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 202 } == 5 && statuses.count { $0 == 429 } == 25)
        }
    }
}
