// Whether a data directory holds its owner's word alone: decision 46.

import BlobStorage
import Glibc
import Program
import SystemPackage

extension DataDirectory {
    /// Why the contents of a directory are not to be believed, each reason a sentence with what puts it right.
    ///
    /// The directory itself may be reached by a symbolic link; what blobd keeps in it may not. Files of blobs and
    /// uploads are left out: they are many, are compared with their digests, and are never opened through a link.
    static func distrust(of path: FilePath) -> [String] {
        let others = [
            "lock", "reserve", "catalog.sqlite-journal", DirectoryLabel.fileName, "tls", "tls/certificate.pem",
        ]
        let parts: [(FilePath, Protection)] =
            (directories(in: path) + catalogFiles(in: path) + others.map { path.appending($0) })
            .map { ($0, .unchangedByOthers) }
            + ["admin-token", "tls/key.pem"].map { (path.appending($0), .readByGroup) }
        let directory = Protection.unchangedByOthers.objection(to: path)
        return [directory].compactMap { $0 } + parts.compactMap { objection(to: $0, needing: $1) }
    }

    private static func objection(to part: FilePath, needing protection: Protection) -> String? {
        var status = stat()
        guard lstat(part.string, &status) == 0 else { return nil }
        guard status.st_mode & S_IFMT != S_IFLNK else {
            return "\(part) is a symbolic link: put what it names in its place"
        }
        return protection.objection(to: part, status)
    }

    /// - Throws: when something in the directory may be another's word.
    static func requireTrust(in path: FilePath) throws(OperatorError) {
        if let objection = distrust(of: path).first { throw OperatorError(objection) }
    }
}
