// Errors, for people and for programs.

import BlobClient

/// An error in words: what happened, what the server answered, and what to do next.
struct ErrorText {
    let problem: String
    let advice: String?
    let refusal: ServerRefusal?
    /// The candidates to choose from.
    private let choices: [String]

    /// - Parameter isNamed: whether the file that it is about has been named before it.
    init(_ error: any Error, isNamed: Bool = false) {
        let server = error as? BlobClientError
        let ambiguity = error as? AmbiguousName
        advice = server?.advice ?? ambiguity.map { _ in AmbiguousName.advice }
        choices = ambiguity?.lines ?? []
        if case .refused(let refusal) = server { self.refusal = refusal } else { refusal = nil }
        switch server {
        case .file(_, let problem) where isNamed: self.problem = problem
        case .fileChanged where isNamed: problem = "was changed while it was uploaded"
        default: problem = "\(error)"
        }
    }

    /// On one line or more.
    var whole: String {
        let more = (advice.map { [DisplayText.safe($0)] } ?? []) + choices
        return DisplayText.safe(problem) + more.map { "\n      " + $0 }.joined()
    }
}

extension StartingOver {
    var text: String {
        switch self {
        case .fileChanged: "the file is not the one that an earlier run has begun to upload"
        case .uploadLost: "the server no longer has what it received"
        case .wrongDigest: "the bytes that are there are not the right ones"
        }
    }

    /// As JSON names it.
    var name: String {
        switch self {
        case .fileChanged: "file_changed"
        case .uploadLost: "upload_lost"
        case .wrongDigest: "wrong_digest"
        }
    }
}
