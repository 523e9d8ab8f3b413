import assert from "node:assert/strict";
import { test } from "node:test";
import { formatFieldError } from "../status/field_error.ts";
import { validateAmount } from "./nodes.ts";

const NEGATIVE = "must be greater than or equal to 0";
const NOT_WHOLE = "must be an integer";

for (
  const { name, amount, want } of [
    { name: "cpu", amount: "500m", want: [] },
    { name: "cpu", amount: "0", want: [] },
    { name: "cpu", amount: "-1m", want: [NEGATIVE] },
    { name: "pods", amount: "110", want: [] },
    { name: "pods", amount: "1k", want: [] },
    { name: "pods", amount: "-500m", want: [NEGATIVE, NOT_WHOLE] },
    // Thousandths are rounded up before they are checked.
    { name: "pods", amount: "999999999n", want: [] },
    { name: "services.nodeports", amount: "100u", want: [NOT_WHOLE] },
    { name: "example.com/gpu", amount: "1500m", want: [NOT_WHOLE] },
    { name: "x.kubernetes.io/gpu", amount: "1500m", want: [] },
    { name: "requests.example.com/gpu", amount: "1500m", want: [] },
    { name: "example.com/a b", amount: "1500m", want: [] },
  ]
) {
  test(`validateAmount() of ${amount} ${name} answers ${want.join(" and ") || "nothing"}`, () => {
    const texts = want.map((detail) => `at: Invalid value: "${amount}": ${detail}`);
    assert.deepEqual(validateAmount("at", name, amount).map(formatFieldError), texts);
  });
}
