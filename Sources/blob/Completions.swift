// The words that a shell offers for arguments that only this machine knows: servers, and unfinished uploads.

import ArgumentParser
import BlobClient
import BlobCore
import Foundation
import SystemPackage

/// Nothing is asked of a server: the person who presses Tab waits.
enum Completions {
    /// The names of the servers that 'blob login' has stored.
    static let servers = CompletionKind.custom { _, _, _ in
        let list = try? ServerList(readingFrom: ServerList.path(ProcessInfo.processInfo.environment))
        return list?.servers.keys.sorted() ?? []
    }

    /// The ids of unfinished uploads.
    static let uploads = CompletionKind.custom { _, _, _ in
        UploadJournal.standard.entries().map(\.upload.description)
    }

    /// The files of unfinished uploads; those in the current folder without its path.
    static let unfinishedFiles = CompletionKind.custom { _, _, _ in
        let here = FileManager.default.currentDirectoryPath + "/"
        return UploadJournal.standard.entries().compactMap { String(validating: $0.path) }.map { path in
            path.hasPrefix(here) ? String(path.dropFirst(here.count)) : path
        }
    }
}
