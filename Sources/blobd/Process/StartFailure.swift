// Why the program cannot do what it was started for.

import NIOCore
import NIOPosix
import SystemPackage

/// A failure with one line that says what is wrong and what would be right. It ends the process with exit code 1.
struct StartFailure: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension StartFailure {
    /// Why the server gets no connections.
    init(listening error: any Error, on address: ListenAddress) {
        let reason =
            switch error {
            case let error as IOError: Errno(rawValue: error.errnoCode).description
            case is SocketAddressError.UnknownHost: "no machine of this name is known"
            case let error as NIOConnectionError where error.connectionErrors.isEmpty:
                "no machine of this name is known"
            default: "the system refuses it; see the address and the port"
            }
        self.init("cannot listen on \(address): \(reason)")
    }
}
