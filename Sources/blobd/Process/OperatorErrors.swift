// The operator's errors of a command that fails. It ends with exit code 1 then, unless it says otherwise.

import BlobCore
import BlobHTTP
import BlobStorage
import NIOCore
import NIOPosix
import SystemPackage

extension OperatorError {
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

/// An error as a command tells it: a store's in the words that its clients hear.
func sentence(of error: any Error) -> String {
    (error as? BlobError).map { WireError($0).message } ?? "\(error)"
}
