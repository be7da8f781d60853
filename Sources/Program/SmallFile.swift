// Small files that must be whole or not there, such as secrets and keys.
//
// These calls block. They are made while the process starts or runs one command, and by threads that may wait.

import Glibc
public import SystemPackage

/// Puts a file in the place of the one that was there, if any. A crash at any point leaves the old file or the new one,
/// and when this returns the new one is durable. Nobody else can read it on the way, whatever its permissions will be.
public func replaceFile(at path: FilePath, with bytes: [UInt8], permissions: FilePermissions) throws(Errno) {
    let temporary = path.removingLastComponent().appending(".\(path.lastComponent?.string ?? "").new")
    // What an earlier try left behind; its absence is the usual case.
    _ = unlink(temporary.string)

    try failing {
        let file = try FileDescriptor.open(
            temporary, .writeOnly, options: [.create, .exclusiveCreate, .noFollow, .closeOnExec],
            permissions: .ownerReadWrite
        )
        try file.closeAfter {
            try file.writeAll(bytes)
            try check(fchmod(file.rawValue, permissions.rawValue))
            try check(fsync(file.rawValue))
        }
        try check(rename(temporary.string, path.string))
        try synchronizeDirectory(of: path)
    }
}

/// Why a small file was not read. Its description is a clause for the caller's sentence.
public enum SmallFileError: Error, Equatable, CustomStringConvertible {
    case failed(Errno)
    /// What it holds may be another's word.
    case untrusted(String)

    public var description: String {
        switch self {
        case .failed(let error): error.description
        case .untrusted(let objection): objection
        }
    }
}

/// The bytes of a file; `nil` when there is none.
///
/// - Parameter protection: what the file must have to be believed. It is looked at in the file that was opened, so that
///   nobody can put another in its place in between. `nil` takes it as it is.
/// - Throws: also when it holds more than `limit` bytes.
public func readFile(
    at path: FilePath, limit: Int, protection: Protection?
) throws(SmallFileError) -> [UInt8]? {
    let file: FileDescriptor
    do {
        file = try failing { try FileDescriptor.open(path, .readOnly, options: [.closeOnExec]) }
    } catch .noSuchFileOrDirectory {
        return nil
    } catch {
        throw .failed(error)
    }
    defer { try? file.close() }
    if let protection {
        var status = stat()
        guard fstat(file.rawValue, &status) == 0 else { throw .failed(Errno(rawValue: errno)) }
        if let objection = protection.objection(to: path, status) { throw .untrusted(objection) }
    }
    do {
        return try failing { try readAll(of: file, limit: limit) }
    } catch {
        throw .failed(error)
    }
}

private func readAll(of file: FileDescriptor, limit: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count <= limit {
        let chunk = try [UInt8](unsafeUninitializedCapacity: limit + 1 - bytes.count) { buffer, count in
            count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
        }
        if chunk.isEmpty { return bytes }
        bytes += chunk
    }
    throw Errno.fileTooLarge
}

/// Removes a file, so that it stays removed after a crash.
public func removeFileDurably(at path: FilePath) throws(Errno) {
    try check(unlink(path.string))
    try failing { try synchronizeDirectory(of: path) }
}

private func synchronizeDirectory(of path: FilePath) throws {
    let parent = path.removingLastComponent()
    let directory = try FileDescriptor.open(
        parent.isEmpty ? "." : parent, .readOnly, options: [.directory, .closeOnExec]
    )
    try directory.closeAfter { try check(fsync(directory.rawValue)) }
}

private func check(_ result: CInt) throws(Errno) {
    guard result == 0 else { throw Errno(rawValue: errno) }
}

/// Runs calls of SystemPackage, which throw nothing but `Errno` and do not say so.
private func failing<Result>(_ body: () throws -> Result) throws(Errno) -> Result {
    do {
        return try body()
    } catch let error as Errno {
        throw error
    } catch {
        preconditionFailure("a system call threw \(error)")
    }
}
