// The fault that the proxy gives one request: where on its way, and of which kind.

/// At each of the places, the client's or the server's knowledge of the request changes.
struct WireFault: Sendable, CustomStringConvertible {
    enum Place: Sendable, CaseIterable {
        case inHead, afterHead, firstByte, middle, beforeLastByte, afterRequest
        /// From here on the server has acted.
        case beforeAnswer, inAnswersHead, afterAnswersHead, inAnswer, beforeAnswersLastByte
    }

    enum Action: Sendable, Equatable {
        /// Both connections are closed.
        case end
        /// Both connections are reset, and bytes under way are lost.
        case reset
        /// Nothing passes any more, and nobody is told.
        case silence
        /// The proxy answers itself, with this status. Before the body, or after it has been swallowed.
        case refuse(Int, atHead: Bool)
        case delay
        /// The next bytes are passed on slowly.
        case throttle
    }

    var place: Place
    var action: Action
    /// Where exactly, where there is a choice: 0 to 1.
    var fraction: Double

    var description: String { "\(action) \(place) \(fraction)" }

    /// Whether bytes may have to be sent again because of it.
    var breaks: Bool {
        switch action {
        case .end, .reset, .silence, .refuse: true
        case .delay, .throttle: false
        }
    }

    static func random(using generator: inout SeededGenerator) -> WireFault {
        let place = Place.allCases.randomElement(using: &generator) ?? .middle
        let statuses = [408, 429, 500, 502, 503, 504]
        let action: Action =
            switch Int.random(in: 0..<100, using: &generator) {
            case 0..<35: .end
            case 35..<65: .reset
            case 65..<68: .silence
            case 68..<85:
                .refuse(statuses.randomElement(using: &generator) ?? 500, atHead: Bool.random(using: &generator))
            case 85..<92: .delay
            default: .throttle
            }
        return WireFault(place: place, action: action, fraction: Double.random(in: 0...1, using: &generator))
    }
}

/// SplitMix64: the same numbers for the same seed, wherever it runs.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}
