// As much of JSON Schema 2020-12 as an OpenAPI document of this size uses.

import Foundation

struct JSONSchema {
    /// The document that `$ref` points into.
    let document: JSON

    /// The faults of the value, in words; none when it fits.
    func violations(of value: JSON, against schema: JSON, at place: String) -> [String] {
        let schema = resolved(schema)
        guard schema.object != nil else { return schema == .boolean(false) ? ["\(place) must not be there"] : [] }
        return type(of: value, schema, place) + bounds(of: value, schema, place) + parts(of: value, schema, place)
            + combinations(of: value, schema, place)
    }

    func resolved(_ json: JSON) -> JSON {
        guard let reference = json["$ref"]?.string, reference.hasPrefix("#/") else { return json }
        var target: JSON? = document
        for key in reference.dropFirst(2).split(separator: "/") {
            let name = key.replacing("~1", with: "/").replacing("~0", with: "~")
            target = target?[String(name)]
        }
        return target.map(resolved) ?? .boolean(false)
    }

    private func type(of value: JSON, _ schema: JSON, _ place: String) -> [String] {
        let types = schema["type"]?.array?.compactMap(\.string) ?? schema["type"]?.string.map { [$0] } ?? []
        if !types.isEmpty, !types.contains(where: { fits(value, $0) }) { return ["\(place) is not \(types): \(value)"] }
        if let constant = schema["const"], constant != value { return ["\(place) is not \(constant): \(value)"] }
        if let values = schema["enum"]?.array, !values.contains(value) { return ["\(place) is not one of \(values)"] }
        return []
    }

    private func fits(_ value: JSON, _ type: String) -> Bool {
        switch (value, type) {
        case (.null, "null"), (.boolean, "boolean"), (.integer, "integer"), (.integer, "number"), (.number, "number"),
            (.string, "string"), (.array, "array"), (.object, "object"):
            true
        default: false
        }
    }

    private func bounds(of value: JSON, _ schema: JSON, _ place: String) -> [String] {
        var found: [String] = []
        func require(_ holds: Bool, _ key: String) {
            if !holds { found.append("\(place) breaks \(key) \(schema[key] ?? .null): \(value)") }
        }
        if let number = value.integer {
            if let least = schema["minimum"]?.integer { require(number >= least, "minimum") }
            if let most = schema["maximum"]?.integer { require(number <= most, "maximum") }
        }
        if let text = value.string {
            if let least = schema["minLength"]?.integer { require(text.unicodeScalars.count >= least, "minLength") }
            if let most = schema["maxLength"]?.integer { require(text.unicodeScalars.count <= most, "maxLength") }
            if let pattern = schema["pattern"]?.string {
                // No value matches a pattern that cannot be read.
                let expression = try? Regex(pattern)
                require(expression.flatMap { text.firstMatch(of: $0) } != nil, "pattern")
            }
        }
        if let items = value.array {
            if let least = schema["minItems"]?.integer { require(items.count >= least, "minItems") }
            if let most = schema["maxItems"]?.integer { require(items.count <= most, "maxItems") }
        }
        return found
    }

    private func parts(of value: JSON, _ schema: JSON, _ place: String) -> [String] {
        if let items = value.array, let each = schema["items"] {
            return items.enumerated().flatMap { violations(of: $1, against: each, at: "\(place)[\($0)]") }
        }
        guard let object = value.object else { return [] }
        let required = schema["required"]?.array?.compactMap(\.string) ?? []
        let missing = required.filter { object[$0] == nil }.map { "\(place).\($0) is missing" }
        let properties = schema["properties"]?.object ?? [:]
        return missing
            + object.flatMap { key, part -> [String] in
                guard let own = properties[key] ?? schema["additionalProperties"] else { return [] }
                return violations(of: part, against: own, at: "\(place).\(key)")
            }
    }

    private func combinations(of value: JSON, _ schema: JSON, _ place: String) -> [String] {
        func fitting(_ key: String) -> Int? {
            schema[key]?.array?.count { violations(of: value, against: $0, at: place).isEmpty }
        }
        var found = (schema["allOf"]?.array ?? []).flatMap { violations(of: value, against: $0, at: place) }
        if fitting("anyOf") == 0 { found.append("\(place) fits none of anyOf: \(value)") }
        if let count = fitting("oneOf"), count != 1 { found.append("\(place) fits \(count) of oneOf: \(value)") }
        return found
    }
}
