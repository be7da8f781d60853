// The person's terminal: how large it is, and input that does not show.

import Glibc
import Program
import Synchronization
import SystemPackage

enum Terminal {
    struct Size: Equatable {
        var columns: Int
        var rows: Int
    }

    /// The terminal's settings before input was hidden.
    private static let shown = Mutex<termios?>(nil)

    static func isTerminal(_ descriptor: FileDescriptor) -> Bool { isatty(descriptor.rawValue) == 1 }

    /// The terminal's size now; the most usual one where it does not tell.
    static func size(of descriptor: FileDescriptor) -> Size {
        var size = winsize()
        guard ioctl(descriptor.rawValue, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return Size(columns: 80, rows: 24)
        }
        return Size(columns: Int(size.ws_col), rows: Int(size.ws_row))
    }

    /// Until ``showInput()``, typed characters are not shown.
    static func hideInput() {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else { return }
        shown.withLock { $0 = settings }
        settings.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
    }

    /// Undoes ``hideInput()``; nothing without it.
    static func showInput() {
        shown.withLock { shown in
            guard var settings = shown else { return }
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
            shown = nil
        }
    }
}

/// Nobody reads standard output any more.
struct ClosedOutput: Error {}

/// Where results and messages go.
enum Output {
    /// Puts a result on standard output. Blocks until it is taken.
    ///
    /// - Throws: ``ClosedOutput``, or ``Problem`` when it cannot be written.
    static func write(_ text: String) throws {
        try writing { try FileDescriptor.standardOutput.writeAll(text.utf8) }
    }

    static func write(_ bytes: UnsafeRawBufferPointer) throws {
        try writing { try FileDescriptor.standardOutput.writeAll(bytes) }
    }

    /// Puts a message on standard error.
    static func tell(_ text: String) {
        _ = try? FileDescriptor.standardError.writeAll((text + "\n").utf8)
    }

    private static func writing(_ body: () throws -> Int) throws {
        do {
            _ = try body()
        } catch Errno.brokenPipe {
            throw ClosedOutput()
        } catch {
            throw Problem("standard output cannot be written to: \(error)")
        }
    }
}
