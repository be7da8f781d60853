// A run that the server ended, and its record in the journal: where the tests of going on begin.

@testable import BlobClient
import BlobCore
import Foundation
import Glibc
import Testing

/// A file, a journal, and a server whose first run was dropped.
struct Dropped {
    let folder: Folder
    let file: String
    let journal: UploadJournal
    let bytes: [UInt8]

    static let pieceByteCount = 1 << 20
    static let count = 6 << 20

    static var configuration: BlobServiceClient.Configuration {
        var configuration = BlobServiceClient.Configuration.quick
        configuration.smallAppendByteCount = Int64(pieceByteCount)
        configuration.appendByteCount = Int64(pieceByteCount)
        return configuration
    }

    init(_ count: Int, seed: UInt64 = 1) throws {
        folder = try Folder()
        bytes = Sample.bytes(count, seed: seed)
        file = try folder.write(bytes, to: "file")
        journal = UploadJournal(directory: folder.path + "/state/blob/uploads")
    }

    var records: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: journal.directory)) ?? []).sorted()
    }

    func record() throws -> String {
        guard let name = records.first, records.count == 1 else { throw Failure("records: \(records)") }
        return journal.directory + "/" + name
    }

    func readRecord() throws -> [String: Any] {
        let text = try Data(contentsOf: URL(fileURLWithPath: try record()))
        guard let record = try JSONSerialization.jsonObject(with: text) as? [String: Any] else {
            throw Failure("the record is no object")
        }
        return record
    }

    /// Changes the file's description in the record.
    func changeRecord(_ change: (inout [String: Any]) throws -> Void) throws {
        var whole = try readRecord()
        guard var noted = whole["file"] as? [String: Any] else { throw Failure("the record names no file") }
        try change(&noted)
        whole["file"] = noted
        try JSONSerialization.data(withJSONObject: whole).write(to: URL(fileURLWithPath: try record()))
    }

    func statusChanged() throws -> Int64 {
        var status = stat()
        guard stat(file, &status) == 0 else { throw Failure("stat") }
        return Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
    }

    /// A run that the server refuses at the n-th append.
    func drop(_ client: BlobServiceClient) async throws {
        let error = await #expect(throws: BlobClientError.self) {
            try await client.upload(file: file, journal: journal)
        }
        guard case .refused(let refusal) = error, refusal.status == 401 else {
            throw Failure("\(String(describing: error))")
        }
    }

    /// Appends that succeed, and one that ends the run.
    static func faults(after count: Int) -> [Fault] {
        Array(repeating: .nothing, count: count) + [.answer(401)]
    }

    /// Other bytes in the same file, with the same time of change.
    func overwrite(at offset: off_t, count: Int) throws {
        var status = stat()
        let descriptor = open(file, O_WRONLY | O_CLOEXEC)
        defer { close(descriptor) }
        guard fstat(descriptor, &status) == 0 else { throw Failure("fstat") }
        let others = bytes[Int(offset)..<Int(offset) + count].map { $0 ^ 1 }
        guard pwrite(descriptor, others, count, offset) == count else { throw Failure("pwrite") }
        let times = [status.st_atim, status.st_mtim]
        guard futimens(descriptor, times) == 0 else { throw Failure("futimens") }
    }

    static func with(
        _ count: Int = count, after appends: Int = 3, _ manners: Manners = Manners(),
        _ body: (Dropped, ReferenceServer, BlobServiceClient) async throws -> Void
    ) async throws {
        let faults = Dropped.faults(after: appends)
        try await withStub([.append: faults], manners, Dropped.configuration) { stub, client in
            let dropped = try Dropped(count)
            try await dropped.drop(client)
            try await body(dropped, stub, client)
        }
    }
}
