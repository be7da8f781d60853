// Where a file lies, whatever the current folder will be.

package import SystemPackage

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

extension FilePath {
    /// The path from the root on.
    ///
    /// `.` goes, and `..` is asked of the system: the name before it may be a link to somewhere else. A
    /// link that the path ends with stays.
    package var absolute: FilePath {
        var path = isAbsolute ? self : (Self.taken(getcwd(nil, 0)) ?? FilePath("")).pushing(self)
        path.components.removeAll { $0.kind == .currentDirectory }
        guard path.components.contains(where: { $0.kind == .parentDirectory }) else { return path }
        guard let last = path.lastComponent, last.kind == .regular else { return path.real ?? path }
        return path.removingLastComponent().real?.appending(last) ?? path
    }

    /// Without any link; `nil` where nothing is.
    private var real: FilePath? { Self.taken(withPlatformString { realpath($0, nil) }) }

    private static func taken(_ string: UnsafeMutablePointer<CChar>?) -> FilePath? {
        guard let string else { return nil }
        defer { free(string) }
        return FilePath(platformString: string)
    }

    /// Without the 0 at their end.
    package var bytes: [UInt8] {
        withPlatformString { Array(UnsafeBufferPointer(start: $0, count: strlen($0)).map(UInt8.init(bitPattern:))) }
    }
}
