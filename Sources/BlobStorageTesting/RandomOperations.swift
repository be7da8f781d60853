// Random operations on a backend and on the model: where the two differ, one of them is wrong.

public import BlobStorage

/// A sequence of operations that a seed decides, applied to a backend under test and to the in-memory model.
///
/// What each operation returns or throws is compared at once, and everything that can be seen after some operations and
/// after every restart. The first difference is thrown as a ``Divergence``, which tells the seed; the same seed and
/// number of steps do the same again.
///
///     @Test(arguments: UInt64(1)...20)
///     func randomOperations(seed: UInt64) async throws {
///         try await RandomOperations(seed: seed, steps: 500).run(
///             againstCatalog: { clock in try LocalCatalog(path: path, clock: clock) },
///             closing: { await $0.close() }
///         )
///     }
public struct RandomOperations: Sendable {
    public let seed: UInt64
    public let steps: Int

    public init(seed: UInt64, steps: Int) {
        self.seed = seed
        self.steps = steps
    }

    /// Compares a catalog with ``InMemoryCatalog``: restarts, and a clock that jumps, included.
    ///
    /// - Parameters:
    ///   - open: opens the catalog: an empty one at first, and the same one again after every restart, when it has been
    ///     closed and let go.
    ///   - close: ends what `open` returned.
    public func run<Backend: Catalog>(
        againstCatalog open: @Sendable (any WallClock) async throws -> Backend,
        closing close: @Sendable (Backend) async throws -> Void = { _ in }
    ) async throws {
        var generator = SplitMix64(seed: seed)
        var world = CatalogWorld(clock: ManualClock())
        var trail = Trail(seed: seed)
        var step = 0
        while step < steps {
            // One life of the process that serves the catalog.
            let backend = try await open(world.clock)
            try await trail.telling { () throws in try await world.compareEverything(with: backend) }
            var isRunning = true
            while isRunning, step < steps {
                let operation = CatalogOperation.random(in: world, using: &generator)
                trail.note(operation, step: step)
                if case .restart = operation { isRunning = false }
                try await trail.telling { () throws in
                    try await world.apply(operation, to: backend)
                    if step % 25 == 24 || !isRunning { try await world.compareEverything(with: backend) }
                }
                step += 1
            }
            try await close(backend)
            world.restart()
        }
    }

    /// Compares a byte store with ``InMemoryByteStore``: restarts, and rows that lag behind the bytes, included.
    ///
    /// - Parameters:
    ///   - open: opens the store: an empty one with room for 64 MiB at first, and the same one again after every
    ///     restart, when it has been closed and let go.
    ///   - close: ends what `open` returned.
    public func run<Backend: ByteStore>(
        againstByteStore open: @Sendable () async throws -> Backend,
        closing close: @Sendable (Backend) async throws -> Void = { _ in }
    ) async throws {
        var generator = SplitMix64(seed: seed)
        var world = ByteStoreWorld()
        var trail = Trail(seed: seed)
        var step = 0
        while step < steps {
            let backend = try await open()
            try await trail.telling { () throws in try await world.compareEverything(with: backend) }
            var isRunning = true
            while isRunning, step < steps {
                let operation = ByteStoreOperation.random(in: world, using: &generator)
                trail.note(operation, step: step)
                if case .restart = operation { isRunning = false }
                try await trail.telling { () throws in
                    try await world.apply(operation, to: backend)
                    if step % 25 == 24 { try await world.compareEverything(with: backend) }
                }
                step += 1
            }
            world.closeWriters()
            try await close(backend)
            world.restart()
        }
    }
}

/// A backend did something else than the model.
public struct Divergence: Error, CustomStringConvertible {
    /// The last operations, the newest at the end.
    public let operations: [String]
    public let seed: UInt64
    public let difference: Difference

    /// One value that should have been another.
    public struct Difference: Error, Sendable {
        public let subject: String
        public let expected: String
        public let actual: String
    }

    public var description: String {
        """
        \(difference.subject) differs from the model's, with the seed \(seed).
        expected: \(difference.expected)
        actual:   \(difference.actual)
        after:
        \(operations.joined(separator: "\n"))
        """
    }
}

/// The last operations, for the error.
private struct Trail {
    let seed: UInt64
    private var operations: [String] = []

    init(seed: UInt64) {
        self.seed = seed
    }

    mutating func note(_ operation: some Sendable, step: Int) {
        operations.append("\(step): \(operation)")
        if operations.count > 30 { operations.removeFirst() }
    }

    /// Adds to a difference how it came about.
    func telling(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let difference as Divergence.Difference {
            throw Divergence(operations: operations, seed: seed, difference: difference)
        } catch {
            let difference = Divergence.Difference(subject: "an error", expected: "none", actual: "\(error)")
            throw Divergence(operations: operations, seed: seed, difference: difference)
        }
    }
}
