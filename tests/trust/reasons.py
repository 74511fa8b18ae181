"""The reason with which each hostile case must end, by the way its bytes reach us.

A case that is refused for anything else is a case that no longer tests what its name says. Line
numbers, and words that differ between versions of a library, are left out.
"""

from __future__ import annotations

JSON_REASONS: dict[str, str] = {
    **dict.fromkeys(("empty", "blank", "cut", "NUL bytes"), "not JSON: Expecting value"),
    **dict.fromkeys(("two values", "a comment"), "not JSON: Extra data"),
    "a trailing comma": "not JSON: ",
    "single quotes": "not JSON: Expecting property name enclosed in double quotes",
    **dict.fromkeys(("latin-1", "UTF-16"), "not UTF-8 text"),
    "a NUL in text": "not JSON: Invalid control character at",
    **dict.fromkeys(("deep lists", "deep objects"), "nested over 32 levels deep"),
    "a huge integer": "not JSON that we read: a number is too long",
    "a key twice": "the key 'a' stands there twice",
    "a lone surrogate": "text that is not Unicode: half a pair",
    "too large": "more than the 16,777,216 we read",
}
YAML_REASONS: dict[str, str] = {
    "cut": "not YAML: did not find expected ',' or ']'",
    "tabs": "not YAML: found character that cannot start any token",
    "a key twice": "the key 'a' stands there twice",
    "a tag of Python": "the tag 'tag:yaml.org,2002:python/name:builtins.list' is not allowed",
    "a tag of its own": "the tag '!custom' is not allowed",
    "binary": "the tag 'tag:yaml.org,2002:binary' is not allowed",
    "a set": "the tag 'tag:yaml.org,2002:set' is not allowed",
    "two documents": "more than one document",
    "an alias of nothing": "the alias *b names nothing that is complete",
    "an alias of itself": "the alias *a names nothing that is complete",
    "aliases of aliases": "over 1,000,000 values",
    **dict.fromkeys(("deep lists", "deep dashes", "deep mappings"), "nested over 32 levels deep"),
    "a list as key": "a key must be text, not a list or a mapping",
    "a merge of text": "`<<` takes a mapping or a list of mappings",
    "not UTF-8": "not UTF-8 text",
    "a control character": "not YAML: unacceptable character #x0007",
    "NUL bytes": "not YAML: unacceptable character #x0000",
    "a directive from another version": "not YAML: found incompatible YAML document",
    "too large": "more than the 16,777,216 we read",
}
PATH_REASONS: dict[str, str] = {
    **dict.fromkeys(("empty", "far too long"), "is empty or too long"),
    **dict.fromkeys(
        (
            "a dot",
            "two dots",
            "a parent",
            "a parent within",
            "a dot within",
            "two slashes",
            "a trailing slash",
            "absolute",
        ),
        "is not relative, or leaves its folder",
    ),
    **dict.fromkeys(
        (
            "a drive",
            "a backslash",
            "a network path",
            "a star",
            "a question mark",
            "a pipe",
            "angle brackets",
        ),
        "holds a character that not every file system takes",
    ),
    **dict.fromkeys(
        (
            "git's folder",
            "git's in capitals",
            "GitHub's folder",
            "DVC's folder",
            "git's attributes",
            "git's modules",
        ),
        "leads into git's or DVC's own files",
    ),
    **dict.fromkeys(
        (
            "a line",
            "a carriage return",
            "a NUL",
            "an escape",
            "an invisible character",
            "text that runs backwards",
        ),
        "holds a control or invisible character",
    ),
    "a decomposed letter": "is not in Unicode's composed form",
    **dict.fromkeys(
        ("a trailing dot", "a trailing blank", "a leading blank"),
        "has a part that ends in a dot or a blank",
    ),
}
REASONS: dict[str, dict[str, str]] = {
    "report": {
        **JSON_REASONS,
        "null": "Expected `object`, got `null`",
        "a number": "Expected `object`, got `int`",
        "text": "Expected `object`, got `str`",
        "a list": "Expected `object`, got `array`",
        "too large": "more than the 1,048,576 we read",
        "another schema": "Expected `int` <= 1 - at `$.schema`",
        "a true schema": "Expected `int`, got `bool` - at `$.schema`",
        "another project": "the report is of project 'other', not 'default'",
        **dict.fromkeys(("a key with a line", "a key that is a path"), "at `$.key`"),
        "an unknown field": "Object contains unknown field `surprise`",
        "another base": "the report's base is cccccccccccc, the event's is bbbbbbbbbbbb",
        "another head": "the report's head is cccccccccccc, the event's is aaaaaaaaaaaa",
        "sides swapped": "the report's base is aaaaaaaaaaaa, the event's is bbbbbbbbbbbb",
        "no head": "Object missing required field `sha` - at `$.head`",
        **dict.fromkeys(
            (
                "a head in capitals",
                "a head that is a name",
                "a head with a line",
                "a head of 39 digits",
            ),
            "at `$.head.sha`",
        ),
        "unknown test data": "Invalid enum value 'equal' - at `$.test_data`",
        "metrics as object": "Expected `array`, got `object` - at `$.metrics`",
        "metrics of numbers": "Expected `object`, got `int` - at `$.metrics[0]`",
        "a metric twice": "metric 'score' stands there twice",
        "a nameless metric": "Expected `str` of length >= 1 - at `$.metrics[0].name`",
        "a long name": "Expected `str` of length <= 200 - at `$.metrics[0].name`",
        "a value of text": "Expected `float | null`, got `str` - at `$.metrics[0].head`",
        "a true value": "Expected `float | null`, got `bool` - at `$.metrics[0].head`",
        "a value in an object": "Expected `float | null`, got `object` - at `$.metrics[0].head`",
        "a value in a list": "Expected `float | null`, got `array` - at `$.metrics[0].head`",
        **dict.fromkeys(
            ("NaN", "Infinity", "minus Infinity", "a byte-order mark"),
            "JSON is malformed: invalid character",
        ),
        "a number beyond range": "Number out of range - at `$.metrics[0].base`",
        **dict.fromkeys(
            ("a delta that is wrong", "a delta without sides"),
            "the delta of metric 'score' is not head minus base",
        ),
        "an empty path": "Expected `str` of length >= 1 - at `$.metrics[0].path`",
        "a long notice": "Expected `str` of length <= 500 - at `$.notices[0]`",
        "notices of numbers": "Expected `str`, got `int` - at `$.notices[0]`",
        "a verdict of its own kind": "Invalid enum value 'great' - at `$.judgement.verdict`",
        "policy_changed of text": "Expected `bool`, got `str` - at `$.policy_changed`",
        "a field twice": "the key 'schema' stands there twice",
    },
    "archive": {
        **dict.fromkeys(
            (
                "empty",
                "not an archive",
                "a gzip stream",
                "no member",
                "a comment",
                "a first byte flipped",
                "cut in the middle",
                "cut at the end",
                "bytes in front",
                "bytes behind",
            ),
            "not a plain ZIP archive",
        ),
        **dict.fromkeys(("a second member", "two entries declared"), "2 members instead of one"),
        "many members": "2000 members instead of one",
        "another name": "its member is 'other.json'",
        "upper case": "its member is 'REPORT.JSON'",
        "a leading dot": "its member is './report.json'",
        "a parent folder": "its member is '../report.json'",
        "two parents": "its member is '../../report.json'",
        "a folder": "its member is 'a/report.json'",
        "an absolute path": "its member is '/report.json'",
        "a backslash": "its member is '..\\\\report.json'",
        "a drive": "its member is 'C:report.json'",
        "a trailing slash": "its member is 'report.json/'",
        "a trailing blank": "its member is 'report.json '",
        "a NUL in the name": "its member is 'report.json\\x00.txt'",
        "an invisible character": "its member is 'report\\u200b.json'",
        **dict.fromkeys(
            ("a symbolic link", "a folder's mode", "a device", "a pipe"),
            "its member is a link, a folder or a device",
        ),
        **dict.fromkeys(
            ("bzip2", "lzma", "an unknown method"),
            "its member is packed in a way that we do not read",
        ),
        "encrypted": "its member is encrypted",
        **dict.fromkeys(
            ("over the limit", "far over the limit", "a size declared too large"),
            "its member has over 1048576 bytes",
        ),
        "packed too well": "its member is packed over 200 times",
        **dict.fromkeys(
            (
                "a size declared too small",
                "a packed size declared too small",
                "a wrong checksum",
                "another name in the local header",
                "content flipped",
            ),
            "not a sound ZIP archive",
        ),
        "a packed size beyond the file": "its member's parts do not touch",
        **dict.fromkeys(
            ("a header elsewhere", "a header beyond the file"), "bytes before its member"
        ),
        **dict.fromkeys(
            ("a second end", "two archives", "a directory elsewhere", "a directory too long"),
            "bytes before, between or behind its parts",
        ),
        **dict.fromkeys(
            ("one of several disks", "a comment declared"),
            "an archive in parts, or with a comment",
        ),
        "no entry declared": "0 members instead of one",
        "counts that differ": "2 members instead of one",
        "a ZIP64 count": "65535 members instead of one",
    },
    "metrics": {
        **JSON_REASONS,
        **dict.fromkeys(("empty", "blank"), "the file is empty"),
        **dict.fromkeys(("null", "text"), "holds no metrics"),
        **dict.fromkeys(
            ("a list", "a list of objects"), "the top level is a list, not names and numbers"
        ),
        "an empty name": "a metric has an empty name",
        "a long name": "has a name of over 200 characters",
        "a key twice below": "the key 'b' stands there twice",
        "nested over the limit": "nested over 32 levels deep",
        **dict.fromkeys(
            ("a form that is YAML", "a form that is TOML"), "not JSON: Expecting value"
        ),
    },
    "params": {
        **YAML_REASONS,
        "a list": "the top level must be names and values",
    },
    "definition": {
        **YAML_REASONS,
        "a list": "the top level must be a mapping",
        **dict.fromkeys(("stages of text", "stages as list"), "`stages` must be a mapping"),
        "a stage of a number": "stage 'train' must be a mapping",
        "a stage twice": "the key 'a' stands there twice",
    },
    "lock": {
        **YAML_REASONS,
        **dict.fromkeys(
            (
                "a list",
                "a huge integer",
                "empty",
                "no stages",
                "stages of nothing",
                "an older schema",
                "another schema",
                "an unknown top",
            ),
            "not a lock of DVC 3",
        ),
        "too large": "more than the 4,194,304 we read",
        **dict.fromkeys(("a stage of text", "a stage without command"), "odd stage 'a'"),
        "an unknown key of a stage": "odd stage 'train'",
        "outs of text": "`outs` of 'train' is not a list",
        **dict.fromkeys(("an out of text", "an unknown key of an out"), "an entry with odd keys"),
        "an address": (
            "the path 's3://bucket/model.bin' holds a character that not every file system takes"
        ),
        "a parent folder": "the path '../model.bin' is not relative, or leaves its folder",
        "a parent within": "the path 'a/../../model.bin' is not relative, or leaves its folder",
        "an absolute path": "the path '/etc/model.bin' is not relative, or leaves its folder",
        "git's own folder": "the path '.git/config' leads into git's or DVC's own files",
        "git's own in capitals": "the path '.GIT/config' leads into git's or DVC's own files",
        "a workflow": "the path '.github/workflows/x.yml' leads into git's or DVC's own files",
        "DVC's configuration": "the path '.dvc/config' leads into git's or DVC's own files",
        "a backslash": "the path 'a\\\\b' holds a character that not every file system takes",
        "a drive": "the path 'C:/model.bin' holds a character that not every file system takes",
        "an empty path": "the path '' is empty or too long",
        **dict.fromkeys(
            ("a path of a number", "no hash", "another kind of hash"),
            "an entry without path, hash or md5",
        ),
        "a path twice": "a path stands twice in 'train'",
        "a short hash": "not an md5: '00'",
        "a hash in capitals": "not an md5: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
        "a hash that is a path": "not an md5: '../../../../etc/hostname'",
        **dict.fromkeys(
            ("a negative size", "a size of text", "a true size"),
            "the size of model.bin is not a number of bytes",
        ),
        "a dependency outside": "the path '../raw.csv' is not relative, or leaves its folder",
    },
    "manifest": {
        **JSON_REASONS,
        **{f"path: {name}": reason for name, reason in PATH_REASONS.items()},
        **dict.fromkeys(
            ("null", "a number", "text", "an object"), "a directory manifest is a list"
        ),
        **dict.fromkeys(
            ("a path twice", "a path twice but for case"), "two entries name the same file"
        ),
        "a file that is a folder": "one entry is a file and a folder",
        **dict.fromkeys(
            ("no hash", "an unknown key", "entries of text"),
            "an entry is not exactly `md5` and `relpath`",
        ),
        **dict.fromkeys(
            (
                "a hash of a number",
                "a short hash",
                "a hash in capitals",
                "a hash with a line",
                "a hash of a folder",
            ),
            "an entry's md5 is not 32 hex digits",
        ),
    },
    "policy": {
        **YAML_REASONS,
        "a list": "the policy must be a mapping, not a list",
        "too large": "more than the 262,144 we read",
        "a huge integer": "unknown key `a`",
        "empty": "the file is empty",
        "no version": "`version` is missing",
        "another version": "version must be 1, not the number 2",
        "a true version": "version must be 1, not true",
        "a version of text": "version must be 1, not the text '1'",
        "an unknown key": "unknown key `metric`",
        "metrics as list": "metrics must be a mapping, not a list",
        "a rule of text": "metrics.score must be a mapping, not the text 'high'",
        "an unknown rule": "unknown key `minimum`",
        "a bound of text": "metrics.score.min_value must be a number, not the text '1'",
        "a bound of NaN": "metrics.score.min_value must be a finite number, not nan",
        "an infinite bound": "metrics.score.min_value must be a finite number, not -inf",
        "a true bound": "metrics.score.min_value must be a number, not true",
        "a negative loss": "max_worsening must not be negative",
        "an infinite loss": "metrics.score.max_worsening must be a finite number, not inf",
        "bounds that exclude all": "min_value 2 is above max_value 1",
        "a direction of text": (
            "metrics.score.greater_is_better must be true or false, not the text 'yes'"
        ),
        **dict.fromkeys(
            ("a confidence in percent", "a confidence of one"),
            "confidence must be between 0.5 and 1",
        ),
        "a confidence of NaN": "confidence must be a finite number, not nan",
        "a file outside": "files.model must be a path inside the repository",
        "an absolute file": "files.predictions must be a path inside the repository",
        "a file of numbers": "files.test_data must be text, not the number 1",
        "slices as mapping": "slices must be a list, not a mapping",
        "a slice of nothing": "by must be a list of 1 to 10 columns",
        "a slice without limit": "a slice needs `min_value`, `max_value` or `max_worsening`",
        "a slice of an unknown metric": "no slice metric is named `magic`",
        "a minimum of no rows": "min_rows must be a whole number from 1",
        "an unknown answer to noise": "inconclusive must be pass or fail, not `ignore`",
    },
    "event": {
        **dict.fromkeys(("empty", "blank", "cut", "a lone surrogate"), "Input data was truncated"),
        "null": "Expected `object`, got `null`",
        "a number": "Expected `object`, got `int`",
        "text": "Expected `object`, got `str`",
        **dict.fromkeys(("a list", "deep lists"), "Expected `object`, got `array`"),
        **dict.fromkeys(("two values", "a comment"), "JSON is malformed: trailing characters"),
        "a trailing comma": "JSON is malformed: trailing comma in object",
        "single quotes": "JSON is malformed: object keys must be strings",
        **dict.fromkeys(
            ("latin-1", "a huge integer", "no event", "a push"),
            "the event names neither a pull request nor a merge group",
        ),
        **dict.fromkeys(
            ("UTF-16", "NUL bytes", "a NUL in text"), "JSON is malformed: invalid character"
        ),
        "deep objects": "maximum recursion depth exceeded",
        "a pull request of text": "Expected `object | null`, got `str` - at `$.pull_request`",
        "a number of text": "Expected `int`, got `str` - at `$.pull_request.number`",
        **dict.fromkeys(
            ("number zero", "a negative number"), "Expected `int` >= 1 - at `$.pull_request.number`"
        ),
        "a fraction": "Expected `int`, got `float` - at `$.pull_request.number`",
        "a true number": "Expected `int`, got `bool` - at `$.pull_request.number`",
        "a number beyond range": "Expected `int` <= 9007199254740991 - at `$.pull_request.number`",
        "no base": "Expected `object`, got `null` - at `$.pull_request.base`",
        "a base without sha": "Object missing required field `sha` - at `$.pull_request.base`",
        **dict.fromkeys(
            (
                "a base that is a name",
                "a base with an option",
                "a base of 41 digits",
                "a base with a line",
            ),
            "at `$.pull_request.base.sha`",
        ),
        **dict.fromkeys(
            ("a head in capitals", "a head of other digits"), "at `$.pull_request.head.sha`"
        ),
        "a repository of numbers": (
            "Expected `str`, got `int` - at `$.pull_request.head.repo.full_name`"
        ),
        "a repository as list": (
            "Expected `object | null`, got `array` - at `$.pull_request.head.repo`"
        ),
        "a merge group without sides": (
            "Object missing required field `base_sha` - at `$.merge_group`"
        ),
        "a merge group of names": "at `$.merge_group.base_sha`",
    },
    "branch": {
        **dict.fromkeys(
            (
                "empty",
                "two dots",
                "a blank",
                "a tilde",
                "a caret",
                "a colon",
                "a star",
                "a question mark",
                "a bracket",
                "a backslash",
                "a line",
                "a NUL",
                "an escape",
                "a leading slash",
                "a trailing slash",
                "two slashes",
                "a hidden part",
                "a lock's ending",
                "a trailing dot",
                "a reflog",
            ),
            "not a branch: ",
        ),
        **dict.fromkeys(
            ("the storage", "an option", "a short option"), "results are not committed there"
        ),
    },
    "path": {
        **PATH_REASONS,
        **dict.fromkeys(
            (
                "the policy",
                "the policy in capitals",
                "the pipeline",
                "parameters",
                "code",
                "code elsewhere",
                "a shell script",
                "requirements",
                "a hidden file",
                "the state of an environment",
            ),
            "code, configuration and rules are never committed for a run",
        ),
        "not UTF-8": "holds a control or invisible character",
    },
    "predictions": {
        **dict.fromkeys(
            ("empty", "a page", "JSON", "far too many columns"),
            "The predictions lack the columns id, target, prediction",
        ),
        "no rows": "The predictions have no rows",
        "no target": "The predictions lack the column target",
        "no id": "The predictions lack the column id",
        "a column twice": "Column 'target' stands twice in the header",
        **dict.fromkeys(
            ("a short row", "a long row", "an open quote"),
            "The predictions are not a table of 3 columns in row 1",
        ),
        "a score of text": "score is not a number in row 1: 'high'",
        "UTF-16": "The header is not UTF-8 text",
        "a name without end": "The header is no CSV: field larger than field limit",
        "a broken Parquet file": "The Parquet file is damaged",
    },
}
