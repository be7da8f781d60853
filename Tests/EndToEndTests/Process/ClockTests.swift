// A machine whose clock is set while the server runs, by Debian's libfaketime.

import Foundation
import Testing

@Suite("The machine's clock", .inTurn)
struct ClockTests {
    private static let library = ["x86_64", "aarch64"].map { "/usr/lib/\($0)-linux-gnu/faketime/libfaketime.so.1" }

    /// Sets the clock of the servers that were started with this file.
    private func setClock(_ shift: String, in file: String) throws {
        // In one step: libfaketime must never read half of it.
        try Data(shift.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
    }

    @Test("set by 400 days, either way: no live upload, temporary file or token ends", arguments: ["+400d", "-400d"])
    func jump(shift: String) async throws {
        let library = try #require(
            Self.library.first(where: FileManager.default.fileExists), "Debian's package libfaketime is needed")
        let server = try ServerProcess()
        let clock = server.folder.path + "/clock"
        try setClock("+0d", in: clock)
        let environment = [
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        ]
        try await server.start(["--reclaim-grace", "0s"], environment: environment)
        let client = try server.admin()
        let upload = try await client.upload(holding: [1, 2, 3])
        let temporary = try await client.publish(Sample.bytes(100), temporary: true)
        let doomed = try await client.publish(Sample.bytes(200))

        try setClock(shift, in: clock)
        #expect(try await client.send(.destroyFile(doomed.id)).status == 204)
        // Asked for: libfaketime's `timerfd_settime` moves timers of the monotonic clock, too, which no real clock
        // does. Those that are set while the clock is behind do not fire any more.
        #expect(try await server.command(["reclaim", "--data", server.data]).end == .code(0))
        try await eventually("a round of reclaiming came after the jump") {
            try server.files(in: "blobs").count == 1 ? true : nil
        }
        #expect(try await client.offset(of: upload) == 3)
        #expect(try await client.send(.download(temporary.digest)).status == 200)
        expect(try await client.send(.append(to: upload, [4])), tellsOffset: 4)

        try setClock("+0d", in: clock)
        #expect(try await client.offset(of: upload) == 4)
        // The timer of the log's writer is among those.
        if shift == "+400d" {
            let line = try await server.child?.errors.line { $0.contains("clock was set") }
            #expect(line != nil, "the jump reached the server, and it said so")
        }
        let identifier = server.child?.pid
        try await server.kill()
        // The memory that libfaketime shares with its process's children outlasts a kill.
        for name in ["faketime_shm_", "sem.faketime_sem_"] {
            if let identifier { try? FileManager.default.removeItem(atPath: "/dev/shm/\(name)\(identifier)") }
        }
    }
}
