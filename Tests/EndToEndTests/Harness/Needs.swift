// The needs that some tests have of the machine. Where one is missing they are skipped, but not in CI: a run there must
// not be green because nothing was tested.

import Foundation

enum Needs {
    /// The `openssl` command.
    static let openSSL = inCI || FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl")

    /// `sslscan`, which looks at what a port offers by TLS.
    static let scanner = inCI || FileManager.default.isExecutableFile(atPath: "/usr/bin/sslscan")

    /// A C compiler.
    static let compiler = inCI || FileManager.default.isExecutableFile(atPath: "/usr/bin/cc")

    /// The right to mount a disk (CAP_SYS_ADMIN), which root has outside of a container.
    static let mounting: Bool = {
        let status = (try? FileHandle(forReadingAtPath: "/proc/self/status")?.readToEnd()) ?? Data()
        let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("CapEff:") }
        let capabilities = line?.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) } ?? 0
        return inCI || capabilities & 1 << 21 != 0
    }()

    private static let inCI = ProcessInfo.processInfo.environment["CI"] != nil
}
