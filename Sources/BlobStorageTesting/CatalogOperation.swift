// The operations of the random test of catalogs, and how one is picked.

import BlobCore
import BlobStorage

import struct Foundation.Date
import struct Foundation.UUID
import typealias Foundation.uuid_t

/// One thing that can be done to a catalog, or to the world around it.
enum CatalogOperation: Sendable {
    case create(
        UploadID, owner: Subject, name: String?, isTemporary: Bool, path: String?, lifetime: Duration, limit: Int,
        quota: Int64?)
    case claim(UploadID, owner: Subject)
    /// - Parameter claim: the number of a claim that was made before, perhaps an old one.
    case advance(claim: Int, adding: String, lifetime: Duration, announcing: Bool, quota: Int64?)
    case complete(claim: Int, adding: String, lifetime: Duration, quota: Int64?)
    case announce(UploadID, Int64)
    case fail(claim: Int)
    case destroy(UploadID, owner: Subject)
    /// The file is named by its identity in the model.
    case destroyFile(FileID, owner: Subject?)
    case list(FileQuery)
    case removeExpired
    case removeBlob(BlobDigest, grace: Duration)
    case createToken(name: String, subject: Subject?, secret: String, scopes: [Scope], lifetime: Duration?)
    case useToken(secret: String, hour: Date)
    case revokeToken(name: String)
    case moveClock(Duration)
    case restart
}

extension CatalogOperation {
    /// Picks an operation whose subject is mostly something that is there.
    static func random(in world: CatalogWorld, using generator: inout SplitMix64) -> CatalogOperation {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<14: create(using: &generator)
        case 14..<28:
            claim(
                of: world.uploads.randomElement(using: &generator) ?? UploadID(using: &generator), in: world, &generator
            )
        case 28..<44: advance(in: world, using: &generator)
        case 44..<60: complete(in: world, using: &generator)
        case 60..<67: onLiveUpload(in: world, using: &generator)
        case 67..<75: destroyFile(in: world, using: &generator)
        case 75..<81: .list(.random(using: &generator))
        case 81..<84: .removeExpired
        case 84..<89:
            .removeBlob(
                world.digests.randomElement(using: &generator) ?? BlobDigest(of: []),
                grace: [.zero, .seconds(10), .seconds(60)].pick(&generator)
            )
        case 89..<92: token(using: &generator)
        case 92..<98: .moveClock(jump(using: &generator))
        default: .restart
        }
    }

    private static func create(using generator: inout SplitMix64) -> CatalogOperation {
        .create(
            UploadID(using: &generator), owner: Subject.everybody.pick(&generator),
            name: [nil, "report.pdf", "Report.PDF", "a%b", "a_b", "تقرير", "photo"].pick(&generator),
            isTemporary: .random(using: &generator), path: [nil, nil, "a/report.pdf", "0/%_R"].pick(&generator),
            lifetime: lifetime(using: &generator), limit: [1, 3, 8, 100].pick(&generator),
            quota: quota(using: &generator)
        )
    }

    private static func advance(in world: CatalogWorld, using generator: inout SplitMix64) -> CatalogOperation {
        guard let claim = claim(in: world, using: &generator) else { return create(using: &generator) }
        return .advance(
            claim: claim, adding: text(using: &generator), lifetime: lifetime(using: &generator),
            announcing: .random(using: &generator), quota: quota(using: &generator)
        )
    }

    private static func complete(in world: CatalogWorld, using generator: inout SplitMix64) -> CatalogOperation {
        guard let claim = claim(in: world, using: &generator) else { return create(using: &generator) }
        return .complete(
            claim: claim, adding: text(using: &generator), lifetime: lifetime(using: &generator),
            quota: quota(using: &generator))
    }

    /// One that changes an upload without a claim. An expired upload is left alone: that such a call has no effect
    /// would show only to a clock that goes back.
    private static func onLiveUpload(in world: CatalogWorld, using generator: inout SplitMix64) -> CatalogOperation {
        let unknown = UploadID(using: &generator)
        let picked = world.uploads.randomElement(using: &generator) ?? unknown
        let id = world.isLive(picked) ? picked : unknown
        return switch Int.random(in: 0..<7, using: &generator) {
        case 0..<3: .announce(id, Int64.random(in: 0...20, using: &generator))
        case 3: fail(in: world, &generator) ?? .announce(unknown, 1)
        default: .destroy(picked, owner: owner(of: picked, in: world, &generator))
        }
    }

    private static func fail(in world: CatalogWorld, _ generator: inout SplitMix64) -> CatalogOperation? {
        guard let claim = claim(in: world, using: &generator), world.isLive(world.claims[claim].model.id) else {
            return nil
        }
        return .fail(claim: claim)
    }

    private static func claim(
        of id: UploadID, in world: CatalogWorld, _ generator: inout SplitMix64
    ) -> CatalogOperation {
        .claim(id, owner: owner(of: id, in: world, &generator))
    }

    /// Mostly whose it is.
    private static func owner(of id: UploadID, in world: CatalogWorld, _ generator: inout SplitMix64) -> Subject {
        let other = Subject.everybody.pick(&generator)
        return Int.random(in: 0..<8, using: &generator) == 0 ? other : world.owner(of: id) ?? other
    }

    private static func destroyFile(in world: CatalogWorld, using generator: inout SplitMix64) -> CatalogOperation {
        guard let file = world.files.randomElement(using: &generator) else { return .removeExpired }
        return .destroyFile(file, owner: ([nil] + Subject.everybody).pick(&generator))
    }

    private static func token(using generator: inout SplitMix64) -> CatalogOperation {
        let name = ["a", "b", "C"].pick(&generator)
        guard Bool.random(using: &generator) else {
            guard Bool.random(using: &generator) else { return .revokeToken(name: name) }
            let hour = Date(timeIntervalSince1970: 3600 * Double(Int.random(in: 0...5, using: &generator)))
            return .useToken(secret: ["x", "y", "z", "never"].pick(&generator), hour: hour)
        }
        return .createToken(
            name: name, subject: [nil, Subject("ann")].pick(&generator), secret: ["x", "y", "z"].pick(&generator),
            scopes: Scope.allCases.filter { _ in Bool.random(using: &generator) },
            lifetime: [nil, .seconds(60)].pick(&generator)
        )
    }

    /// Mostly the newest claim, which alone may be good.
    private static func claim(in world: CatalogWorld, using generator: inout SplitMix64) -> Int? {
        guard !world.claims.isEmpty else { return nil }
        let last = world.claims.count - 1
        return Bool.random(using: &generator) ? last : Int.random(in: 0...last, using: &generator)
    }

    /// So few texts that uploads of the same bytes are frequent.
    private static func text(using generator: inout SplitMix64) -> String {
        ["", "a", "b", "ab", String(repeating: "x", count: 100)].pick(&generator)
    }

    /// Mostly none, so that there is enough to be too much.
    private static func quota(using generator: inout SplitMix64) -> Int64? {
        [nil, nil, nil, Charge.of(1), 2 * Charge.of(1), 6 * Charge.of(1), .max].pick(&generator)
    }

    private static func lifetime(using generator: inout SplitMix64) -> Duration {
        .seconds([10, 60, 600, 3600, 7200].pick(&generator))
    }

    private static func jump(using generator: inout SplitMix64) -> Duration {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<4: .milliseconds(125 * Int.random(in: 1...16, using: &generator))
        case 4..<7: .seconds(Int.random(in: 1...60, using: &generator))
        case 7: .seconds(Int.random(in: 600...7200, using: &generator))
        default: .seconds(-Int.random(in: 1...30, using: &generator))
        }
    }
}

extension FileQuery {
    fileprivate static func random(using generator: inout SplitMix64) -> FileQuery {
        FileQuery(
            owner: ([nil, nil] + Subject.everybody).pick(&generator),
            search: [nil, nil, "rep", "%", "_", "R", "ر", "", "0", "a/", "zzz"].pick(&generator),
            order: Order.allCases.pick(&generator), isDescending: .random(using: &generator),
            skip: [0, 0, 1, 3, 10].pick(&generator), top: [1, 2, 5, 100].pick(&generator)
        )
    }
}

extension Subject {
    /// The subjects of the random test.
    static let everybody = [Subject("ann"), Subject("bob"), Subject("carl")]
}

extension Array {
    /// An element of an array that is not empty.
    func pick(_ generator: inout SplitMix64) -> Element {
        self[Int.random(in: indices, using: &generator)]
    }
}
