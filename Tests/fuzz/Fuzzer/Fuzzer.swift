// What libFuzzer calls: one parser, which the environment names, with the bytes that it has made up.

import FuzzedParsers
import Foundation

private let parser: FuzzedParser = {
    let name = ProcessInfo.processInfo.environment["FUZZ_PARSER"] ?? ""
    guard let parser = FuzzedParser.all[name] else { fatalError("FUZZ_PARSER names no parser: '\(name)'") }
    return parser
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        try parser.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
    } catch {
        fatalError("\(parser.name): \(error)")
    }
    return 0
}
