// One TCP connection to the server, used raw: sends any bytes, whole or in part, reads answers, ends politely or not.
// All of it blocks, with deadlines, on threads of its own.

import Foundation
import Glibc
import Synchronization

final class HTTPConnection: Sendable {
    private struct State {
        var received: [UInt8] = []
        var closed = false
    }

    let localPort: Int
    private let serverPort: Int
    private let socket: Int32
    private let state = Mutex(State())

    private init(socket: Int32, localPort: Int, serverPort: Int) {
        (self.socket, self.localPort, self.serverPort) = (socket, localPort, serverPort)
    }

    deinit {
        close()
    }

    /// `receiveBuffer`: a small one makes the server feel soon that nobody reads.
    static func open(port: Int, receiveBuffer: Int32? = nil) async throws -> HTTPConnection {
        try await onOwnThread {
            let descriptor = openSocket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { throw Failure.system("socket") }
            if var size = receiveBuffer {
                setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
            }
            var noDelay: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, socklen_t(MemoryLayout<Int32>.size))
            var patience = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))

            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let result = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                    let result = connect(descriptor, generic, size)
                    return result == 0 ? getsockname(descriptor, generic, &size) : result
                }
            }
            guard result == 0 else {
                let failure = Failure.system("connect to port \(port)")
                _ = Glibc.close(descriptor)
                throw failure
            }
            let localPort = Int(in_port_t(bigEndian: address.sin_port))
            return HTTPConnection(socket: descriptor, localPort: localPort, serverPort: port)
        }
    }

    func send(_ bytes: [UInt8]) async throws {
        try await onOwnThread { [self] in
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes { rest in
                    Glibc.send(socket, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw Failure.system("send after \(sent) of \(bytes.count) bytes") }
                sent += count
            }
        }
    }

    func send(_ text: String) async throws {
        try await send(Array(text.utf8))
    }

    func send(_ request: Request) async throws {
        try await send(request.encoded)
    }

    /// The next answer; fails when none comes, or the connection ends within it.
    func receive(for method: String = "GET", within limit: Duration = .patience) async throws -> Response {
        guard let response = try await receiveIfAny(for: method, within: limit) else {
            throw Failure("the server closed the connection without an answer")
        }
        return response
    }

    /// The next answer, or nil when the server closes the connection instead.
    func receiveIfAny(for method: String = "GET", within limit: Duration = .patience) async throws -> Response? {
        try await onOwnThread { [self] in
            var reader = ResponseReader(method: method)
            let deadline = ContinuousClock.now + limit
            while true {
                if let response = try state.withLock({ try reader.read(&$0.received) }) { return response }
                guard try fill(by: deadline) else {
                    return try state.withLock { try reader.end(&$0.received) }
                }
            }
        }
    }

    /// One informational answer (100) on its own, the final one not awaited.
    func receiveInformational() async throws -> Int {
        try await onOwnThread { [self] in
            let deadline = ContinuousClock.now + .patience
            while true {
                let status = try state.withLock { state in try ResponseReader.takeInformational(&state.received) }
                if let status { return status }
                guard try fill(by: deadline) else { throw Failure("closed in place of an informational answer") }
            }
        }
    }

    /// Waits until the server closes; bytes that still come before are ignored.
    func waitForClose(within limit: Duration = .patience) async throws {
        try await onOwnThread { [self] in
            let deadline = ContinuousClock.now + limit
            while try fill(by: deadline) {
                state.withLock { $0.received = [] }
            }
        }
    }

    /// True when something to read, or the connection's end, is there without waiting.
    func hasNews() throws -> Bool {
        try state.withLock { !$0.received.isEmpty } || ready(to: Int16(POLLIN), within: .zero)
    }

    /// Waits until the server's process has read all that was sent: first it has left this socket's queue, then it has
    /// left the queue of the server's socket.
    func waitUntilRead() async throws {
        try await eventually("all that was sent has arrived", every: .milliseconds(5)) {
            try Self.queues(from: localPort, to: serverPort)?.sending == 0 ? true : nil
        }
        try await eventually("the server has read all that arrived", every: .milliseconds(5)) {
            try Self.queues(from: serverPort, to: localPort)?.receiving == 0 ? true : nil
        }
    }

    /// Waits until nothing moves on the connection any more: the server neither takes nor sends anything.
    func waitUntilSilent() async throws {
        var before: [Int] = []
        try await eventually("nothing moves", every: .milliseconds(300)) {
            let queues = [
                try Self.queues(from: localPort, to: serverPort), try Self.queues(from: serverPort, to: localPort),
            ]
            let now = queues.compactMap { $0 }.flatMap { [$0.sending, $0.receiving] }
            defer { before = now }
            return now == before ? true : nil
        }
    }

    /// No more will be sent (FIN); answers can still be read.
    func finishSending() {
        _ = shutdown(socket, Int32(SHUT_WR))
    }

    func close() {
        state.withLock { state in
            guard !state.closed else { return }
            state.closed = true
            _ = Glibc.close(socket)
        }
    }

    /// Ends the connection at once and rudely (RST).
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    /// Reads the bytes that are there; false at the connection's end.
    private func fill(by deadline: ContinuousClock.Instant) throws -> Bool {
        let left = deadline - ContinuousClock.now
        guard try left > .zero && ready(to: Int16(POLLIN), within: left) else {
            throw Failure("nothing from the server before the deadline")
        }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(socket, &buffer, buffer.count, 0)
        if count < 0, errno == EINTR { return true }
        if count < 0, errno == ECONNRESET { return false }
        guard count >= 0 else { throw Failure.system("recv") }
        state.withLock { $0.received += buffer[..<count] }
        return count > 0
    }

    private func ready(to events: Int16, within limit: Duration) throws -> Bool {
        var descriptor = pollfd(fd: socket, events: events, revents: 0)
        let milliseconds = limit.components.seconds * 1000 + limit.components.attoseconds / 1_000_000_000_000_000
        let result = poll(&descriptor, 1, Int32(milliseconds))
        guard result >= 0 || errno == EINTR else { throw Failure.system("poll") }
        return result > 0
    }

    /// The bytes in a socket's queues, from the kernel's table, whose lines go on with
    /// `0100007F:1F90 0100007F:A3A9 01 <sending>:<receiving>` after their number.
    private static func queues(from: Int, to: Int) throws -> (sending: Int, receiving: Int)? {
        let table = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/net/tcp"))
        defer { try? table.close() }
        let lines = try table.readToEnd() ?? Data()
        let addresses = Data(String(format: " 0100007F:%04X 0100007F:%04X ", from, to).utf8)
        guard let found = lines.range(of: addresses) else { return nil }
        let words = String(decoding: lines[found.upperBound...].prefix(20), as: UTF8.self).split(separator: " ")
        let queues = words.count < 2 ? [] : words[1].split(separator: ":").compactMap { Int($0, radix: 16) }
        return queues.count == 2 ? (queues[0], queues[1]) : nil
    }
}

/// `socket` under a name that the property of the same name does not hide.
private func openSocket(_ domain: Int32, _ type: Int32, _ protocolNumber: Int32) -> Int32 {
    socket(domain, type, protocolNumber)
}

extension Failure {
    fileprivate static func system(_ what: String) -> Failure {
        Failure("\(what): \(String(cString: strerror(errno)))")
    }
}
