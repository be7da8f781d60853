// A disk that was filled to its last byte, or its last file, in every way; and every way out of it.

import Foundation
import Glibc
import Testing

@Suite("Out of a full disk", .inTurn, .enabled(if: Needs.mounting, "needs the right to mount a disk"))
struct FullDiskExitTests {
    enum Filling: CaseIterable {
        case appends, rows, otherBytes, otherFiles
    }

    static let cases: [(SmallDisk, Filling)] =
        Filling.allCases.map { (.ext4(), $0) } + [(.memory(size: 32), .rows), (.memory(size: 32), .otherFiles)]
    private static let flags = ["--reclaim-grace", "0s", "--reclaim-interval", "1s"]

    @Test(
        "deleting through the API, a restart, reclaim and check work without a byte or a file left", arguments: cases)
    func out(_ disk: SmallDisk, _ filling: Filling) async throws {
        try await withServer(on: disk, Self.flags) { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(300_000)
            _ = try await server.namedClient("unwanted", "read")
            let kept = try await client.publish(bytes)
            var unwanted: [Published] = []
            for _ in 0..<16 { unwanted.append(try await client.publish(Sample.bytes(10_000))) }
            let begun = try await client.upload(holding: Sample.bytes(50_000))

            let large = try await fill(server, client, filling)
            try await expectFull(client)
            for file in unwanted.prefix(8) {
                #expect(try await client.send(.destroyFile(file.id)).status == 204)
            }
            for upload in [begun, large].compactMap(\.self) {
                #expect(try await client.send(.destroy(upload)).status == 204)
            }
            #expect(try await client.send(.download(kept.digest)).body == bytes)

            try await emptyAndFill(server, client, filling)
            try await stopAndFill(server, filling)
            try await server.start(Self.flags)
            // Whether it is full still goes by what the reclaimer finds to remove.
            for file in unwanted.suffix(8) {
                #expect(try await client.send(.destroyFile(file.id)).status == 204)
            }

            for command in [["reclaim"], ["check"], ["token", "revoke", "unwanted"]] {
                try await emptyAndFill(server, client, filling)
                try await stopAndFill(server, filling)
                let outcome = try await server.command(command + ["--data", server.data])
                #expect(outcome.end == .code(0), "\(command): \(outcome)")
                try await server.start(Self.flags)
                #expect(try await client.send(.download(kept.digest)).body == bytes)
            }
            try Ballast(on: server).remove()
            try await waitForRoom(client)
            _ = try await client.publish(Sample.bytes(100_000))
        }
    }

    @Test("deleting works when the audit log is on that disk, too, and each deletion is in it")
    func audited() async throws {
        try await withServer(on: .ext4(), Self.flags + ["--audit-log", "data/audit.log"]) { server in
            let client = try server.admin()
            var files: [Published] = []
            for _ in 0..<40 { files.append(try await client.publish(Sample.bytes(10_000))) }
            _ = try await fill(server, client, .otherBytes)
            for file in files {
                #expect(try await client.send(.destroyFile(file.id)).status == 204)
            }
            let log = try String(contentsOfFile: server.data + "/audit.log", encoding: .utf8)
            for file in files {
                #expect(log.split(separator: "\n").count { $0.contains("delete") && $0.contains(file.id) } == 1)
            }
        }
    }

    /// Fills the disk in one way, and then takes whatever that leaves.
    ///
    /// - Returns: the upload that holds most of it, where there is one.
    private func fill(_ server: ServerProcess, _ client: Client, _ filling: Filling) async throws -> Upload? {
        let ballast = Ballast(on: server)
        switch filling {
        case .appends:
            let upload = try await client.initiate()
            let part = try Sample.bytes(2_000_000)
            while try await client.send(.append(to: upload, part)).status == 203 {}
            try ballast.fill()
            return upload
        case .rows:
            try ballast.fill(leaving: 1 << 20)
            while true {
                let started = try await client.send(.initiate())
                guard started.status == 202, try await client.send(.complete(Upload(started))).status == 201 else {
                    break
                }
            }
        case .otherBytes: break
        case .otherFiles:
            try ballast.fillWithFiles()
            return nil
        }
        try ballast.fill()
        return nil
    }

    private func expectFull(_ client: Client) async throws {
        try await eventually("the server says that it is full") {
            let ready = try await client.anonymous.send(.get("/ready"))
            #expect(ready.status == 200)
            return ready.json?["writable"]?.boolean == false ? true : nil
        }
        expect(try await client.send(.initiate()), is: .insufficientStorage)
    }

    /// Gives the disk its room, and with it the server its reserve; then fills it anew.
    private func emptyAndFill(_ server: ServerProcess, _ client: Client, _ filling: Filling) async throws {
        let ballast = Ballast(on: server)
        try ballast.remove()
        try await waitForRoom(client)
        try await eventually("the reserve is there again") {
            (0..<4).reduce(0) { $0 + blocks(of: server.data + "/reserve/\($1)") } >= 8 << 11 ? true : nil
        }
        try filling == .otherFiles ? ballast.fillWithFiles() : ballast.fill()
    }

    /// Of 512 bytes.
    private func blocks(of path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_blocks) : 0
    }

    private func waitForRoom(_ client: Client) async throws {
        try await eventually("the server takes uploads again") {
            try await client.anonymous.send(.get("/ready")).json?["writable"]?.boolean == true ? true : nil
        }
    }

    /// Others take what the end of the server makes free.
    private func stopAndFill(_ server: ServerProcess, _ filling: Filling) async throws {
        #expect(try await server.stop() == .code(0))
        let ballast = Ballast(on: server)
        try filling == .otherFiles ? ballast.fillWithFiles() : ballast.fill()
    }
}
