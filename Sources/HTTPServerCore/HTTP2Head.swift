// What the HTTP/2 library lets through of a request's head, and no server may take.

import BlobCore
import HTTPTypes

extension HTTPRequest {
    /// Why the head of a stream is malformed (RFC 9113 §8.1.1) all the same; `nil` where it is not. Two readers of one
    /// request must not disagree about whom it asks, nor about where its body ends.
    var faultOfStream: Refusal? {
        let hosts = headerFields[values: .host]
        let lengths = headerFields[values: .contentLength]
        // §8.3.1: the name of the host, without a user, and the same wherever it stands.
        guard hosts.count <= 1, let host = authority ?? hosts.first else {
            return .malformed("it has no ':authority', and \(hosts.count) 'host' headers instead of one")
        }
        guard host.isHost, hosts.allSatisfy(\.isHost) else {
            return .malformed("its ':authority' or 'host' is not HOST or HOST:PORT")
        }
        guard hosts.allSatisfy({ $0.lowercased() == host.lowercased() }) else {
            return .malformed("its 'host' is another than its ':authority'")
        }
        guard lengths.count <= 1, lengths.allSatisfy({ !$0.isEmpty && $0.utf8.span.areDigits(0..<$0.utf8.count) })
        else {
            return .malformed("its 'content-length' is not one number")
        }
        return nil
    }
}

extension String {
    fileprivate var isHost: Bool { utf8.span.isHost(0..<utf8.count) }
}
