// The rules of writing to a catalog's upload: one writer at a time, and the offset that it moves.

import BlobCore
import BlobStorage
import Testing

/// A catalog's promises about claiming and advancing uploads.
public enum ClaimRule: String, CaseIterable, Sendable {
    /// Every claim raises the epoch, durably, and changes nothing else.
    case claimRaisesTheEpoch
    /// Nobody but its owner claims or destroys an upload; others' calls change nothing.
    case ownerAloneClaims
    /// A claim of a completed upload tells the file that it became, as often as it is tried.
    case claimOfCompletedUploadReturnsIt
    /// Advancing moves the offset and the running digest, which goes on from there.
    case advanceMovesOffsetAndDigest
    /// Advancing returns the upload as it is now, ready to be advanced again.
    case advanceReturnsTheUploadAsItIsNow
    /// Advancing puts the expiry off: the upload outlives its first one.
    case advancePutsTheExpiryOff
    /// Advancing announces the new offset when it says so, and else leaves the announced one.
    case advanceAnnouncesWhenItSaysSo
    /// An announcement between two advances of one claim stays.
    case advanceKeepsWhatWasAnnouncedMeanwhile
    /// An announcement is never taken back by an older one.
    case announcementsOnlyRise
    /// An advance by an old claim is refused and changes nothing, as often as it is tried.
    case oldClaimCannotAdvance
    /// An advance from an offset that has moved is refused and changes nothing.
    case advanceComparesTheOffset
    /// An advance of a completed upload is refused and changes nothing.
    case completedUploadCannotAdvance
    /// Claims at the same time all get different epochs, and only the highest may advance.
    case concurrentClaimsGetDifferentEpochs
    /// Of many advances by one claim at the same time exactly one succeeds.
    case concurrentAdvancesOfOneClaimHaveOneWinner

    func check(_ trial: CatalogTrial) async throws {
        switch self {
        case .claimRaisesTheEpoch: try await trial.claimRaisesTheEpoch()
        case .ownerAloneClaims: try await trial.ownerAloneClaims()
        case .claimOfCompletedUploadReturnsIt: try await trial.claimOfCompletedUploadReturnsIt()
        case .advanceMovesOffsetAndDigest: try await trial.advanceMovesOffsetAndDigest()
        case .advanceReturnsTheUploadAsItIsNow: try await trial.advanceReturnsTheUploadAsItIsNow()
        case .advancePutsTheExpiryOff: try await trial.advancePutsTheExpiryOff()
        case .advanceAnnouncesWhenItSaysSo: try await trial.advanceAnnouncesWhenItSaysSo()
        case .advanceKeepsWhatWasAnnouncedMeanwhile: try await trial.advanceKeepsWhatWasAnnouncedMeanwhile()
        case .announcementsOnlyRise: try await trial.announcementsOnlyRise()
        case .oldClaimCannotAdvance: try await trial.oldClaimCannotAdvance()
        case .advanceComparesTheOffset: try await trial.advanceComparesTheOffset()
        case .completedUploadCannotAdvance: try await trial.completedUploadCannotAdvance()
        case .concurrentClaimsGetDifferentEpochs: try await trial.concurrentClaimsGetDifferentEpochs()
        case .concurrentAdvancesOfOneClaimHaveOneWinner: try await trial.concurrentAdvancesOfOneClaimHaveOneWinner()
        }
    }
}

extension CatalogTrial {
    fileprivate func claimRaisesTheEpoch() async throws {
        let upload = try await start()
        var epoch: Int64 = 0
        for _ in 0..<3 {
            let lease = try await catalog.lease(of: upload)
            #expect(lease.epoch > epoch)
            #expect(lease.upload == upload)
            #expect(try await row(upload) == upload)
            epoch = lease.epoch
        }
    }

    fileprivate func ownerAloneClaims() async throws {
        let lease = try await claimNew(owner: .bob)
        for stranger in [Subject.ann, Subject("Bob"), Subject("")] {
            await expectError(.uploadUnknown) { _ = try await catalog.claim(lease.id, of: stranger) }
            await expectError(.uploadUnknown) { try await catalog.destroy(lease.id, of: stranger) }
        }
        #expect(try await advance(lease, to: "text").epoch == lease.epoch)
        let completed = try await claimNew(owner: .bob)
        _ = try await complete(completed, with: "text")
        await expectError(.uploadUnknown) { _ = try await catalog.claim(completed.id, of: .ann) }
        try await catalog.destroy(lease.id, of: .bob)
    }

    fileprivate func claimOfCompletedUploadReturnsIt() async throws {
        let lease = try await claimNew()
        let file = try await complete(lease, with: "text")
        for _ in 0..<2 { #expect(try await catalog.claim(lease.id, of: .ann) == .completed(file)) }
    }

    fileprivate func advanceMovesOffsetAndDigest() async throws {
        let lease = try await claimNew()
        _ = try await advance(lease, to: "first")
        var stored = try await row(lease)
        #expect(stored.offset == 5)
        #expect(stored.digest.digest == BlobDigest(ofText: "first"))
        // A block of SHA-256 has 64 bytes: the state in the middle of one must survive too.
        let rest = String(repeating: "x", count: 100)
        Array(rest.utf8).withUnsafeBytes { stored.digest.update($0) }
        #expect(stored.digest.digest == BlobDigest(ofText: "first" + rest))
    }

    fileprivate func advanceReturnsTheUploadAsItIsNow() async throws {
        let lease = try await claimNew()
        let once = try await advance(lease, to: "one", announcing: true)
        #expect(once.upload == (try await row(lease)))
        let twice = try await advance(once, to: "one two")
        #expect(twice.upload == (try await row(lease)))
        #expect((twice.epoch, twice.offset, twice.upload.announced) == (lease.epoch, 7, 3))
    }

    fileprivate func advancePutsTheExpiryOff() async throws {
        let lease = try await claimNew(lifetime: .seconds(60))
        clock.advance(by: .seconds(59))
        let upload = try await catalog.advance(
            lease, to: RunningDigest(of: "text".utf8), expires: clock.time(in: .seconds(60)), announcing: false,
            quota: nil
        ).upload
        #expect(upload.expires == clock.time(in: .seconds(60)))
        clock.advance(by: .seconds(59))
        #expect(try await catalog.removeExpired(limit: 10).uploads == [])
        #expect(try await row(upload) == upload)
        clock.advance(by: .seconds(1))
        #expect(try await catalog.upload(upload.id) == nil)
        #expect(try await catalog.removeExpired(limit: 10).uploads == [upload.id])
    }

    fileprivate func advanceAnnouncesWhenItSaysSo() async throws {
        let lease = try await claimNew()
        let silent = try await advance(lease, to: "one", announcing: false)
        #expect(silent.upload.announced == 0)
        let announced = try await advance(silent, to: "one two", announcing: true)
        #expect(announced.upload.announced == 7)
        let silentAgain = try await advance(announced, to: "one two three", announcing: false)
        #expect(silentAgain.upload.announced == 7)
        #expect(try await row(lease).announced == 7)
    }

    fileprivate func advanceKeepsWhatWasAnnouncedMeanwhile() async throws {
        let lease = try await advance(try await claimNew(), to: "one")
        try await catalog.announce(3, of: lease.id)
        let advanced = try await advance(lease, to: "one two")
        #expect(advanced.upload.announced == 3)
        #expect(try await row(lease).announced == 3)
    }

    fileprivate func announcementsOnlyRise() async throws {
        let lease = try await advance(try await claimNew(), to: "one two", announcing: true)
        // A status that was read before the advance tells the catalog after it.
        try await catalog.announce(3, of: lease.id)
        #expect(try await row(lease).announced == 7)
    }

    fileprivate func oldClaimCannotAdvance() async throws {
        let old = try await claimNew()
        let new = try await catalog.lease(of: old.upload)
        for _ in 0..<2 { await expectError(.uploadSuperseded) { _ = try await advance(old, to: "old") } }
        #expect(try await row(old) == new.upload)
        let advanced = try await advance(new, to: "new")
        await expectError(.uploadSuperseded) { _ = try await advance(old, to: "old") }
        #expect(try await row(old) == advanced.upload)
    }

    fileprivate func advanceComparesTheOffset() async throws {
        let lease = try await claimNew()
        let advanced = try await advance(lease, to: "one")
        await expectError(.uploadSuperseded) { _ = try await advance(lease, to: "another one") }
        #expect(try await row(lease) == advanced.upload)
    }

    fileprivate func completedUploadCannotAdvance() async throws {
        let lease = try await advance(try await claimNew(), to: "text")
        let file = try await complete(lease, with: "text")
        let completed = try await row(lease)
        await expectRefusal { _ = try await advance(lease, to: "text and more") }
        #expect(try await row(lease) == completed)
        #expect(completed.state == .completed(file))
    }

    fileprivate func concurrentClaimsGetDifferentEpochs() async throws {
        let upload = try await start()
        let leases = try await concurrently(64) { _ in try await catalog.lease(of: upload) }.map { try $0.get() }
        #expect(Set(leases.map(\.epoch)).count == 64)
        let last = try #require(leases.max { $0.epoch < $1.epoch })
        for lease in leases where lease.epoch != last.epoch {
            await expectError(.uploadSuperseded) { _ = try await advance(lease, to: "old") }
        }
        #expect(try await row(upload) == last.upload)
        #expect(try await advance(last, to: "new").offset == 3)
    }

    fileprivate func concurrentAdvancesOfOneClaimHaveOneWinner() async throws {
        let lease = try await claimNew()
        let results = await concurrently(16) { number in
            try await advance(lease, to: String(repeating: "x", count: number + 1))
        }
        let winners = results.compactMap { try? $0.get() }
        #expect(winners.count == 1)
        #expect(try await row(lease) == winners.first?.upload)
    }
}
