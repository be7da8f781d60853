"""Swift source as a list of tokens, so that checks are not misled by comments, strings and regular expressions."""

import re
from dataclasses import dataclass

WORD = re.compile(r"[^\W\d]\w*|`\w+`|\d[\w.]*")
STRING_START = re.compile(r'(#*)("""(?=[ \t]*\n)|")')
EXTENDED_REGEX_START = re.compile(r"(#+)/")
PLAIN_REGEX = re.compile(r"/(?![\s/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])*(?<!\s)/")
BEFORE_A_VALUE = set("([{,;:=!&|?~^%<>+-*")
KEYWORDS_BEFORE_A_VALUE = {"return", "in", "case", "where", "try", "await", "throw", "if", "while", "else"}


@dataclass(frozen=True)
class Token:
    text: str
    line: int


def tokens(text: str) -> list[Token]:
    """Words and single characters of code, with line breaks as tokens; literals are left out."""
    found: list[Token] = []
    position = line = 0
    while position < len(text):
        end = skip_literal(text, position, found)
        if end is None:
            word = WORD.match(text, position)
            end = word.end() if word else position + 1
            if text[position] == "\n" or not text[position].isspace():
                found.append(Token(text[position:end], line + 1))
        line += text.count("\n", position, end)
        position = end
    return found


def skip_literal(text: str, position: int, found: list[Token]) -> int | None:
    """Where the comment, string or regular expression that begins here ends; None when none does."""
    if text.startswith("//", position) or (position == 0 and text.startswith("#!")):
        return line_end(text, position)
    if text.startswith("/*", position):
        return comment_end(text, position)
    if start := STRING_START.match(text, position):
        return string_end(text, start)
    if start := EXTENDED_REGEX_START.match(text, position):
        close = text.find("/" + start[1], start.end())
        return len(text) if close < 0 else close + 1 + len(start[1])
    if text[position] == "/" and expects_value(found) and (regex := PLAIN_REGEX.match(text, position)):
        return regex.end()
    return None


def expects_value(found: list[Token]) -> bool:
    last = found[-1].text if found else "\n"
    return last == "\n" or last in BEFORE_A_VALUE or last in KEYWORDS_BEFORE_A_VALUE


def line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def comment_end(text: str, position: int) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, position):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def string_end(text: str, start: re.Match[str]) -> int:
    pounds, quotes = start[1], start[2]
    escape, close = "\\" + pounds, quotes + pounds
    position = start.end()
    while position < len(text):
        if text.startswith(escape + "(", position):
            position = interpolation_end(text, position + len(escape))
        elif text.startswith(escape, position):
            position += len(escape) + 1
        elif text.startswith(close, position):
            return position + len(close)
        elif quotes == '"' and text[position] == "\n":
            return position
        else:
            position += 1
    return len(text)


def interpolation_end(text: str, position: int) -> int:
    """Where the parentheses that open here close; the text inside is code again, with literals of its own."""
    depth = 0
    while position < len(text):
        if (end := skip_literal(text, position, [])) is not None and text[position] != "/":
            position = end
            continue
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        position += 1
        if depth == 0:
            return position
    return len(text)
