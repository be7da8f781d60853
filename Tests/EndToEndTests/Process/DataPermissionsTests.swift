// Who may read the server's files: docs/storage-format.md, the layout of a data directory.

import Foundation
import Testing

@Suite("The files of a data directory", .inTurn)
struct DataPermissionsTests {
    @Test("belong to its user alone, whatever the umask that the server was started with")
    func permissions() async throws {
        try await withServer { server in
            let client = try server.admin()
            _ = try await client.publish(Sample.bytes(1000))
            _ = try await client.upload(holding: Sample.bytes(1000))
            let root = server.data
            let names = try #require(FileManager.default.enumerator(atPath: root)).compactMap { $0 as? String }
            #expect(names.contains("catalog.sqlite-wal") && names.contains { $0.hasPrefix("uploads/") })
            for name in names + [""] {
                let attributes = try FileManager.default.attributesOfItem(atPath: root + "/" + name)
                let permissions = try #require(attributes[.posixPermissions] as? Int)
                #expect(permissions & 0o077 == 0, "\(name) can be read by others")
            }
        }
    }
}
