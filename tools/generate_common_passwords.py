#!/usr/bin/env python3
"""Writes src/accounts/common_passwords.txt: common passwords of at least 15 characters.

Published lists of leaked passwords hold few that are so long; those they hold are made of a small set
of parts in a small set of ways. This program makes them: keyboard walks, one character or one short
word repeated, two common words, a common word with a run of digits, a year or a date, and well-known
phrases. The result is folded (lower case, ASCII), sorted, and the same on every run.

    tools/generate_common_passwords.py           writes the file
    tools/generate_common_passwords.py --check   exits 1 if the file differs from what it would write
"""

import itertools
import pathlib
import sys

MINIMUM = 15
MAXIMUM = 28
OUTPUT = pathlib.Path(__file__).parent.parent / "src/accounts/common_passwords.txt"

# The first words of every list of leaked passwords, in about their order.
WORDS = """password qwerty iloveyou princess welcome monkey dragon football baseball superman sunshine
letmein shadow master michael jordan batman trustno1 hello freedom whatever charlie qazwsx login admin
starwars passw0rd access flower secret summer winter spring autumn computer internet liverpool chelsea
arsenal barcelona computer pokemon naruto killer soccer hockey ranger jennifer jessica ashley daniel
thomas andrew joshua matthew hunter buster tigger ginger pepper cookie chocolate butterfly lovely angel
forever family friends mustang corvette ferrari mercedes yamaha samsung google facebook minecraft changeme
default administrator test guest user root system server database support manager money london""".split()

# What people put together most.
PAIRS = """password iloveyou welcome letmein qwerty princess dragon monkey football sunshine superman
master shadow baseball michael whatever charlie freedom forever family friends secret access computer
internet administrator changeme lovely angel flower""".split()

DIGITS = ["1", "12", "123", "1234", "12345", "123456", "1234567", "12345678", "123456789",
          "1234567890", "0123456789", "111", "1111", "111111", "000", "000000", "321", "4321", "54321",
          "654321", "987654321", "123123", "123321", "121212", "112233", "666", "777", "007", "69",
          "2000", "1111111", "00000000", "123!", "1234!", "12345!", "!", "!!", "!!!", "1!", "@123",
          "#1", "01", "99", "88888888", "159753", "147258369", "789456123"]

ROWS = ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop",
        "qsdfghjklm", "wxcvbn", "abcdefghijklmnopqrstuvwxyz"]
COLUMNS = ["1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "qazwsxedcrfvtgbyhnujmikolp",
           "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "zaq12wsxcde34rfvbgt56yhn",
           "a1b2c3d4e5f6g7h8i9j0", "123qweasdzxcvbnfghrty456", "1qazxsw23edcvfr45tgbnhy67ujm",
           "123456789qwertyuiopasdfghjkl", "qwertyuiopasdfghjklzxcvbnm", "asdfghjklqwertyuiop",
           "asdfghjklzxcvbnm", "zxcvbnmasdfghjklqwertyuiop", "qwertyuiop1234567890",
           "qwertyuiop123456789", "asdfghjkl123456789", "zxcvbnm123456789", "1234567890qwertyuiop",
           "12345678901234567890", "qwerty123456789", "qwerty1234567890", "abc123456789000",
           "abcdefg12345678", "abcd1234efgh5678", "abcdefgh12345678", "1a2b3c4d5e6f7g8h"]

PHRASES = """correct horse battery staple|the quick brown fox|the quick brown fox jumps over the lazy dog|
to be or not to be|may the force be with you|i love you so much|i love you forever|i love you baby|
i love my family|i love my mom and dad|let me in please|open sesame open|this is my password|
my password is password|what is the password|the password is password|i forgot my password|
i do not know my password|i hate passwords|no password needed|password is password|enter your password|
my secret password|super secret password|very secret password|a very long password|very long password|
this is a long password|a really long password|my very long password|this is a password|
this is not my password|this is a secret|this is a very long password|i am the password|
never gonna give you up|all your base are belong to us|live long and prosper|winter is coming|
game of thrones|lord of the rings|the lord of the rings|star wars episode|harry potter rocks|
manchester united|manchester city|liverpool football|you will never walk alone|real madrid barcelona|
new york yankees|dallas cowboys rule|god is good all the time|god bless america|jesus is my savior|
jesus loves me|jesus christ is lord|in god we trust|hello my name is|hello world hello|hello kitty lover|
happy birthday to me|happy birthday to you|merry christmas everyone|happy new year|good morning world|
have a nice day|have a good day|what the hell is this|who let the dogs out|one two three four|
one two three four five|red green blue yellow|monday tuesday wednesday|january february march|
spring summer autumn winter|mississippi river|supercalifragilistic|antidisestablishmentarianism|
administrator|welcome to the jungle|welcome to my world|stairway to heaven|highway to hell|
another brick in the wall|we are the champions|we will rock you|bohemian rhapsody|hotel california|
sweet child of mine|smells like teen spirit|carpe diem carpe diem|hakuna matata forever|
life is beautiful|life is good today|love is all you need|all you need is love|peace and love forever|
work hard play hard|just do it just do it|trust no one trust no one|do not forget this|
change me please now|please change me now|temporary password|default password|change this password|
company password|office password|wireless password|internet password|database password|server password|
login password login|admin admin admin|root root root root|test test test test|guest guest guest|
user password user|pass word pass word|abc def ghi jkl mno|aaa bbb ccc ddd eee""".replace("\n", "")


def walks():
    """Pieces of keyboard rows and columns, forwards and backwards, joined where one row is short."""
    lines = list(COLUMNS)
    for first, second in itertools.permutations(ROWS, 2):
        lines.append(first + second)
    for row in ROWS:
        lines.append(row + row)
        lines.append(row + row[::-1])
    for line in lines:
        for text in (line, line[::-1]):
            for length in (15, 16, len(text)):
                yield text[:length]


def repetitions():
    """One character, or one short part, again and again."""
    for character in "abcdefghijklmnopqrstuvwxyz0123456789!*.":
        for length in range(MINIMUM, 21):
            yield character * length
    parts = ["123", "321", "1234", "4321", "12345", "54321", "123456", "abc", "abcd", "abcde", "asd",
             "asdf", "qwe", "qwer", "qwert", "zxc", "zxcv", "qaz", "wsx", "aa11", "a1", "12", "ab", "xyz",
             "abc123", "qwe123", "asd123", "123abc", "123qwe", "1q2w3e", "1qaz", "lol", "haha", "love",
             "pass", "blah", "cat", "dog", "god", "sex", "fuck", "test", "admin", "root", "user"]
    for part in parts + WORDS:
        times = -(-MINIMUM // len(part))
        for count in (max(times, 2), max(times, 2) + 1):
            yield part * count


def combinations():
    """Words with words, digits, years and dates."""
    for first, second in itertools.permutations(PAIRS, 2):
        yield first + second
    for word in WORDS:
        for digits in DIGITS:
            yield word + digits
        for digits in DIGITS[:12]:
            yield word + word + digits
        for year in (2000, 2024, 2025):
            yield f"{word}{word}{year}"
    months = """january february march april may june july august september october november
december""".split()
    for month in months:
        for year in range(2015, 2027):
            yield f"{month}{year}{month}"
            yield f"password{month}{year}"


def phrases():
    for phrase in PHRASES.split("|"):
        words = phrase.split()
        for separator in ("", " ", "-", "_", "."):
            yield separator.join(words)
        for ending in ("1", "123", "!", "1!"):
            yield "".join(words) + ending


def render():
    made = set(itertools.chain(walks(), repetitions(), combinations(), phrases()))
    return "".join(f"{text}\n" for text in sorted(made) if MINIMUM <= len(text) <= MAXIMUM)


def main():
    text = render()
    if sys.argv[1:] == ["--check"]:
        if OUTPUT.read_text() != text:
            sys.exit(f"{OUTPUT.name} is not what {sys.argv[0]} writes; run it")
        return
    OUTPUT.write_text(text)
    print(f"{text.count(chr(10))} passwords, {len(text)} bytes")


if __name__ == "__main__":
    main()
