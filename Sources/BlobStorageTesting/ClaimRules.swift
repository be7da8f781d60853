// The rules of writing to a catalog's upload: one writer at a time, and what it moves.

import BlobCore
import BlobStorage
import Testing

/// What a catalog promises about claiming and advancing uploads.
public enum ClaimRule: String, CaseIterable, Sendable {
    /// Every claim raises the epoch, durably, and changes nothing else.
    case claimRaisesTheEpoch
    /// Nobody but its owner claims or destroys an upload; whoever tries changes nothing.
    case ownerAloneClaims
    /// A completed upload is claimed as it is, its epoch unchanged.
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
        var upload = try await start()
        for _ in 0..<3 {
            var claimed = try await claim(upload)
            #expect(claimed.epoch > upload.epoch)
            #expect(try await row(upload) == claimed)
            let epoch = claimed.epoch
            claimed.epoch = upload.epoch
            #expect(claimed == upload)
            upload.epoch = epoch
        }
    }

    fileprivate func ownerAloneClaims() async throws {
        let upload = try await start(owner: .bob)
        let claimed = try await claim(upload)
        for stranger in [Subject.ann, Subject("Bob"), Subject("")] {
            await expectError(.uploadUnknown) { _ = try await catalog.claim(upload.id, of: stranger) }
            await expectError(.uploadUnknown) { try await catalog.destroy(upload.id, of: stranger) }
        }
        #expect(try await row(upload) == claimed)
        let completed = try await claim(try await start(owner: .bob))
        _ = try await complete(completed, with: "text")
        await expectError(.uploadUnknown) { _ = try await catalog.claim(completed.id, of: .ann) }
        try await catalog.destroy(upload.id, of: .bob)
    }

    fileprivate func claimOfCompletedUploadReturnsIt() async throws {
        let claimed = try await claim(try await start())
        let file = try await complete(claimed, with: "text")
        for _ in 0..<2 {
            let again = try await claim(claimed)
            #expect(again.state == .completed(file))
            #expect(again.epoch == claimed.epoch)
            #expect(again == (try await row(claimed)))
        }
    }

    fileprivate func advanceMovesOffsetAndDigest() async throws {
        let claimed = try await claim(try await start())
        _ = try await advance(claimed, to: "first")
        var stored = try await row(claimed)
        #expect(stored.offset == 5)
        #expect(stored.digest.digest == BlobDigest(ofText: "first"))
        // A block of SHA-256 has 64 bytes: the state in the middle of one must survive too.
        let rest = String(repeating: "x", count: 100)
        Array(rest.utf8).withUnsafeBytes { stored.digest.update($0) }
        #expect(stored.digest.digest == BlobDigest(ofText: "first" + rest))
    }

    fileprivate func advanceReturnsTheUploadAsItIsNow() async throws {
        let claimed = try await claim(try await start())
        let once = try await advance(claimed, to: "one", announcing: true)
        #expect(once == (try await row(claimed)))
        let twice = try await advance(once, to: "one two")
        #expect(twice == (try await row(claimed)))
        #expect((twice.epoch, twice.offset, twice.announced) == (claimed.epoch, 7, 3))
    }

    fileprivate func advancePutsTheExpiryOff() async throws {
        let claimed = try await claim(try await start(lifetime: .seconds(60)))
        clock.advance(by: .seconds(59))
        let upload = try await catalog.advance(
            claimed, to: UploadProgress(of: "text"), expires: clock.time(in: .seconds(60)), announcing: false
        )
        #expect(upload.expires == clock.time(in: .seconds(60)))
        clock.advance(by: .seconds(59))
        #expect(try await catalog.removeExpired(limit: 10).uploads == [])
        #expect(try await row(upload) == upload)
        clock.advance(by: .seconds(1))
        #expect(try await catalog.upload(upload.id) == nil)
        #expect(try await catalog.removeExpired(limit: 10).uploads == [upload.id])
    }

    fileprivate func advanceAnnouncesWhenItSaysSo() async throws {
        let claimed = try await claim(try await start())
        let silent = try await advance(claimed, to: "one", announcing: false)
        #expect(silent.announced == 0)
        let announced = try await advance(silent, to: "one two", announcing: true)
        #expect(announced.announced == 7)
        let silentAgain = try await advance(announced, to: "one two three", announcing: false)
        #expect(silentAgain.announced == 7)
        #expect(try await row(claimed).announced == 7)
    }

    fileprivate func advanceKeepsWhatWasAnnouncedMeanwhile() async throws {
        let upload = try await advance(try await claim(try await start()), to: "one")
        try await catalog.announce(3, of: upload.id)
        let advanced = try await advance(upload, to: "one two")
        #expect(advanced.announced == 3)
        #expect(try await row(upload).announced == 3)
    }

    fileprivate func announcementsOnlyRise() async throws {
        let upload = try await advance(try await claim(try await start()), to: "one two", announcing: true)
        // A status that was read before the advance tells the catalog after it.
        try await catalog.announce(3, of: upload.id)
        #expect(try await row(upload).announced == 7)
    }

    fileprivate func oldClaimCannotAdvance() async throws {
        let old = try await claim(try await start())
        let new = try await claim(old)
        for _ in 0..<2 { await expectError(.uploadSuperseded) { _ = try await advance(old, to: "old") } }
        #expect(try await row(old) == new)
        let advanced = try await advance(new, to: "new")
        await expectError(.uploadSuperseded) { _ = try await advance(old, to: "old") }
        #expect(try await row(old) == advanced)
    }

    fileprivate func advanceComparesTheOffset() async throws {
        let claimed = try await claim(try await start())
        let advanced = try await advance(claimed, to: "one")
        await expectError(.uploadSuperseded) { _ = try await advance(claimed, to: "another one") }
        #expect(try await row(claimed) == advanced)
    }

    fileprivate func completedUploadCannotAdvance() async throws {
        let upload = try await advance(try await claim(try await start()), to: "text")
        let file = try await complete(upload, with: "text")
        await expectRefusal { _ = try await advance(upload, to: "text and more") }
        let completed = try await row(upload)
        await expectRefusal { _ = try await advance(completed, to: "text and more") }
        #expect(try await row(upload) == completed)
        #expect(completed.state == .completed(file))
    }

    fileprivate func concurrentClaimsGetDifferentEpochs() async throws {
        let upload = try await start()
        let claims = try await concurrently(64) { _ in try await claim(upload) }.map { try $0.get() }
        #expect(Set(claims.map(\.epoch)).count == 64)
        let last = try #require(claims.max { $0.epoch < $1.epoch })
        #expect(try await row(upload) == last)
        for claim in claims where claim.epoch != last.epoch {
            await expectError(.uploadSuperseded) { _ = try await advance(claim, to: "old") }
        }
        #expect(try await row(upload) == last)
        #expect(try await advance(last, to: "new").offset == 3)
    }

    fileprivate func concurrentAdvancesOfOneClaimHaveOneWinner() async throws {
        let claimed = try await claim(try await start())
        let results = await concurrently(16) { number in
            try await advance(claimed, to: String(repeating: "x", count: number + 1))
        }
        let winners = results.compactMap { try? $0.get() }
        #expect(winners.count == 1)
        #expect(try await row(claimed) == winners.first)
    }
}
