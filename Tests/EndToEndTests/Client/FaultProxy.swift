// A TCP proxy between a client and the server, which knows just enough of HTTP/1.1 to break a request at a place of
// interest, and to count the bytes of bodies that come by.

import Foundation
import NIOCore
import NIOPosix
import Synchronization

final class FaultProxy: Sendable {
    struct Counts: Sendable {
        var requests = 0
        /// Bytes of requests' bodies that came from the client.
        var up: Int64 = 0
        /// Bytes of blobs that were passed on to the client.
        var down: Int64 = 0
        /// Faults that happened and may cost bytes.
        var cuts = 0
        /// Requests that the client gave up by itself.
        var abandoned = 0
    }

    private struct State {
        var counts = Counts()
        var faults: [Int: WireFault]
        var channels: [ObjectIdentifier: any Channel] = [:]
        var waiting: [(bytes: Int64, promise: Promise<Bool>)] = []
    }

    private let state: Mutex<State>
    private let target: @Sendable () -> Int
    private let listener = Mutex<(any Channel)?>(nil)

    /// - Parameters:
    ///   - faults: by the number of the request, over all connections in the order in which they come.
    ///   - target: the server's port; asked for each connection.
    static func start(faults: [Int: WireFault] = [:], to target: @escaping @Sendable () -> Int) async throws
        -> FaultProxy
    {
        let proxy = FaultProxy(faults, target)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            // The bytes that a reset loses are mostly those that wait in here.
            .childChannelOption(.socketOption(.so_sndbuf), value: 64 << 10)
            .childChannelInitializer { client in
                proxy.keep(client)
                return ProxiedConnection.begin(client, proxy)
            }
            .bind(host: "127.0.0.1", port: 0).get()
        proxy.listener.withLock { $0 = channel }
        return proxy
    }

    private init(_ faults: [Int: WireFault], _ target: @escaping @Sendable () -> Int) {
        state = Mutex(State(faults: faults))
        self.target = target
    }

    var address: String { "http://127.0.0.1:\(listener.withLock { $0?.localAddress?.port } ?? 0)" }
    var targetPort: Int { target() }
    var counts: Counts { state.withLock { $0.counts } }

    func stop() async throws {
        let channels = state.withLock { Array($0.channels.values) }
        for channel in channels { try? await channel.close() }
        try await listener.withLock { $0 }?.close()
    }

    /// Waits until this many bytes of bodies have come from the client; fails when they do not.
    func waitForUp(_ bytes: Int64) async throws {
        let promise = Promise<Bool>()
        let isThere = state.withLock { state in
            if state.counts.up < bytes { state.waiting.append((bytes, promise)) }
            return state.counts.up >= bytes
        }
        if isThere { return }
        guard await promise.value(within: .patience) != nil else { throw Failure("\(bytes) bytes have not come by") }
    }

    // MARK: Reports of connections

    func keep(_ channel: any Channel) {
        state.withLock { $0.channels[ObjectIdentifier(channel)] = channel }
        channel.closeFuture.whenComplete { [weak self] _ in
            self?.state.withLock { _ = $0.channels.removeValue(forKey: ObjectIdentifier(channel)) }
        }
    }

    func begins() -> WireFault? {
        state.withLock { state in
            defer { state.counts.requests += 1 }
            return state.faults[state.counts.requests]
        }
    }

    func count(_ change: (inout Counts) -> Void) {
        let reached = state.withLock { state in
            change(&state.counts)
            let up = state.counts.up
            let reached = state.waiting.filter { $0.bytes <= up }
            if !reached.isEmpty { state.waiting.removeAll { $0.bytes <= up } }
            return reached
        }
        for (_, promise) in reached { promise.fulfil(true) }
    }
}

/// Cuts a stream of messages into heads and parts of bodies.
struct MessageScanner {
    enum Part {
        /// The whole of it, and the length of its body.
        case head(ByteBuffer, bodyCount: Int64)
        case body(ByteBuffer, isLast: Bool)
    }

    private var head = ByteBuffer()
    private var rest: Int64 = 0

    /// Whether a message is incomplete.
    var isWithin: Bool { rest > 0 || head.readableBytes > 0 }

    mutating func next(_ bytes: inout ByteBuffer) -> Part? {
        if rest > 0 {
            let count = Int(min(rest, Int64(bytes.readableBytes)))
            guard count > 0, let slice = bytes.readSlice(length: count) else { return nil }
            rest -= Int64(count)
            return .body(slice, isLast: rest == 0)
        }
        while let byte = bytes.readInteger(as: UInt8.self) {
            head.writeInteger(byte)
            guard byte == UInt8(ascii: "\n"), head.readableBytesView.suffix(4).elementsEqual("\r\n\r\n".utf8) else {
                continue
            }
            let whole = head
            head = ByteBuffer()
            rest = Self.bodyCount(String(buffer: whole))
            return .head(whole, bodyCount: rest)
        }
        return nil
    }

    /// Neither this client nor this server sends chunks.
    private static func bodyCount(_ head: String) -> Int64 {
        let lines = head.lowercased().split(separator: "\r\n")
        if lines.first.map({ $0.contains(" 204 ") || $0.contains(" 304 ") }) ?? false { return 0 }
        let value = lines.first { $0.hasPrefix("content-length:") }?.split(separator: ":").last
        return value.flatMap { Int64($0.trimmingCharacters(in: .whitespaces)) } ?? 0
    }
}
