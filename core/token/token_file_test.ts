import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTokenFile } from "./token_file.ts";

const PATH = "/etc/tokens.csv";

function read(text: string): unknown {
  const parsed = parseTokenFile(text, PATH);
  if (!parsed.ok) return parsed.error;
  return parsed.value.entries.map(({ token, username, uid, groups }) => [token.reveal(), username, uid, groups]);
}

for (
  const { name, text, want } of [
    { name: "three columns", text: "tok,u,1\n", want: [["tok", "u", "1", []]] },
    { name: "groups in one quoted field", text: 'tok,u,1,"g1,g2"\n', want: [["tok", "u", "1", ["g1", "g2"]]] },
    { name: "groups are not trimmed", text: 'tok,u,1,"g1, g2"\n', want: [["tok", "u", "1", ["g1", " g2"]]] },
    { name: "unquoted groups lose all but the first", text: "tok,u,1,g1,g2\n", want: [["tok", "u", "1", ["g1"]]] },
    { name: "an empty fourth column is one empty group", text: "tok,u,1,\n", want: [["tok", "u", "1", [""]]] },
    { name: "an empty token is skipped", text: ",u,1\ntok,v,2\n", want: [["tok", "v", "2", []]] },
    { name: "the last of two equal tokens wins", text: "tok,u,1\ntok,v,2\n", want: [["tok", "v", "2", []]] },
    { name: "empty user and uid", text: "tok,,\n", want: [["tok", "", "", []]] },
    { name: "an empty file", text: "", want: [] },
    {
      name: "two columns",
      text: "tok,u,1\ntok2,v\n",
      want: "token file '/etc/tokens.csv' must have at least 3 columns (token, user name, user uid), found 2",
    },
    { name: "broken quotes", text: 'a"b,u,1\n', want: 'parse error on line 1, column 2: bare " in non-quoted-field' },
  ]
) {
  test(`parseTokenFile() reads: ${name}`, () => assert.deepEqual(read(text), want));
}

test("parseTokenFile() warns of empty and duplicate tokens by record, without showing them", () => {
  const parsed = parseTokenFile("tok,u,1\n\n,v,2\ntok,w,3\n", PATH);
  assert.deepEqual(parsed.ok && parsed.value.warnings, [
    "empty token has been found in token file '/etc/tokens.csv', record number '2'",
    "duplicate token has been found in token file '/etc/tokens.csv', record number '3'",
  ]);
});
