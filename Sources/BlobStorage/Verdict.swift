// The verdict of a look at a blob's bytes.

public import BlobCore

/// What a look at a blob's bytes showed.
public enum Verdict: Equatable, Sendable {
    case sound
    /// The bytes are others.
    case changed(MeasuredBytes)
    /// There are none.
    case missing
    /// The blob itself is not there any more: its last file went.
    case gone

    public var isDamage: Bool {
        switch self {
        case .changed, .missing: true
        case .sound, .gone: false
        }
    }
}

extension Verdict: CustomStringConvertible {
    public var description: String {
        switch self {
        case .sound: "sound"
        case .changed(let found): "\(found.size) bytes of the digest \(found.digest)"
        case .missing: "no bytes"
        case .gone: "gone"
        }
    }
}

extension Backend {
    /// Looks at a blob's bytes and changes nothing.
    func verdict(
        on record: BlobRecord, reading: Bool, pace: @Sendable (Int) async -> Void
    ) async throws(BlobError) -> Verdict {
        try await look(at: record, reading: reading, pace: pace).verdict
    }

    /// Looks a second time at a blob that seemed damaged: it may have been removed, or uploaded again, since.
    ///
    /// - Returns: the verdict, and the place of the bytes that it is about.
    func lookAgain(at record: BlobRecord, reading: Bool) async throws(BlobError) -> (verdict: Verdict, place: Place?) {
        guard try await catalog.unknownBlobs(among: [record.digest]).isEmpty else { return (.gone, nil) }
        return try await look(at: record, reading: reading, pace: { _ in })
    }

    /// Looks at a blob's bytes, and records when they seem damaged: for those that may not act on it.
    ///
    /// - Parameter reading: whether to read all of them, or to compare their number only.
    public func suspect(
        _ record: BlobRecord, reading: Bool, pace: @Sendable (Int) async -> Void
    ) async throws(BlobError) -> Verdict {
        let first = try await verdict(on: record, reading: reading, pace: pace)
        guard first.isDamage else { return first }
        let (verdict, place) = try await lookAgain(at: record, reading: reading)
        if verdict.isDamage && record.condition == .sound {
            try await catalog.setCondition(.suspected, of: record.digest, at: place)
        }
        return verdict
    }

    private func look(
        at record: BlobRecord, reading: Bool, pace: @Sendable (Int) async -> Void
    ) async throws(BlobError) -> (verdict: Verdict, place: Place?) {
        guard let place = try await bytes.place(of: record.digest) else { return (.missing, nil) }
        guard reading else {
            guard let size = try await bytes.size(of: record.digest, at: place) else { return (.missing, place) }
            let found = MeasuredBytes(size: size, digest: record.digest)
            return (size == record.size ? .sound : .changed(found), place)
        }
        guard let measured = try await bytes.measure(record.digest, at: place, pace: pace) else {
            return (.missing, place)
        }
        return (measured.digest == record.digest ? .sound : .changed(measured), place)
    }
}
