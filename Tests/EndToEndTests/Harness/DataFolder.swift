// The files on the server's disk: looked at, and damaged, from outside.

import Foundation

extension ServerProcess {
    struct StoredFile {
        let path: String
        let size: Int
    }

    /// Without one of its folders the store can neither take nor give anything that belongs there.
    func takeAway(_ folder: String) throws {
        try FileManager.default.moveItem(atPath: data + "/" + folder, toPath: data + "/was-" + folder)
    }

    func putBack(_ folder: String) throws {
        try FileManager.default.moveItem(atPath: data + "/was-" + folder, toPath: data + "/" + folder)
    }

    /// Gives a file of this digest a name and a path, as an earlier version took them. The server must not be running.
    func rename(_ digest: String, to name: String, path: String) async throws {
        let script = """
            import sqlite3, sys
            catalog = sqlite3.connect(sys.argv[1])
            changed = catalog.execute("UPDATE files SET name = ?, path = ? WHERE digest = ?",
                                      (sys.argv[3], sys.argv[4], bytes.fromhex(sys.argv[2])))
            assert changed.rowcount == 1
            catalog.commit()
            catalog.close()
            """
        let outcome = try await ChildProcess.run(
            ["/usr/bin/env", "python3", "-c", script, data + "/catalog.sqlite", digest, name, path], in: "/")
        guard outcome.end == .code(0) else { throw Failure("python3 ended with \(outcome.end): \(outcome.errors)") }
    }

    /// The regular files in and below a folder of the data directory.
    func files(in folder: String = "") throws -> [StoredFile] {
        let root = data + "/" + folder
        let paths = (FileManager.default.enumerator(atPath: root)?.allObjects ?? []).compactMap { $0 as? String }
        return paths.compactMap { path in
            // A file may go while the folder is being read.
            guard let attributes = try? FileManager.default.attributesOfItem(atPath: root + "/" + path),
                attributes[.type] as? FileAttributeType == .typeRegular
            else { return nil }
            return StoredFile(path: root + "/" + path, size: (attributes[.size] as? NSNumber)?.intValue ?? 0)
        }
    }
}
