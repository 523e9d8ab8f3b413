import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "../lib/brand.ts";
import { signDetached } from "./jws.ts";

const HEADER = "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9";

// The vectors of k8s.io/cluster-bootstrap v0.37.2, token/jws/jws_test.go.
for (
  const { name, content, secret, mac } of [
    {
      name: "a text",
      content: "Hello from the other side. I must have called a thousand times.",
      secret: "my voice is my passcode",
      mac: "VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8",
    },
    {
      name: "no text",
      content: "",
      secret: "my voice is my passcode",
      mac: "7Ui1ALizW4jXphVUB7xUqC9vLYLL9RZeOFfVLoB7Tgk",
    },
    {
      name: "a text with an empty key",
      content: "Hello from the other side. I must have called a thousand times.",
      secret: "",
      mac: "UfkqvDGiIFxrMnFseDj9LYJOLNrvjW8aHhF71mvvAs8",
    },
  ]
) {
  test(`signDetached() signs ${name} as cluster-bootstrap does`, () => {
    assert.equal(signDetached(content, "joshua", new Secret(secret)), `${HEADER}..${mac}`);
  });
}
