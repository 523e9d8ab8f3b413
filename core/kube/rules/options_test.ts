import assert from "node:assert/strict";
import { test } from "node:test";
import { type FieldError, formatFieldError } from "../status/field_error.ts";
import { validateDeleteOptions, validateListOptions, validatePatchOptions, validateUpdateOptions } from "./options.ts";

const MATCH = "resourceVersionMatch: Forbidden:";

for (
  const { name, errors, want } of [
    { name: "empty create options", errors: validateUpdateOptions({}), want: [] },
    {
      name: "valid create options",
      errors: validateUpdateOptions({ dryRun: ["All"], fieldManager: "kubectl", fieldValidation: "Strict" }),
      want: [],
    },
    {
      name: "a bad dry run",
      errors: validateUpdateOptions({ dryRun: ["x"] }),
      want: ['dryRun: Unsupported value: ["x"]: supported values: "All"'],
    },
    {
      name: "a bad field validation",
      errors: validateUpdateOptions({ fieldValidation: "x" }),
      want: ['fieldValidation: Unsupported value: "x": supported values: "", "Ignore", "Strict", "Warn"'],
    },
    {
      name: "a long manager",
      errors: validateUpdateOptions({ fieldManager: "m".repeat(129) }),
      want: ["fieldManager: Too long: may not be more than 128 bytes"],
    },
    {
      name: "an unprintable manager",
      errors: validateUpdateOptions({ fieldManager: "é\u0000" }),
      want: ['fieldManager: Invalid value: "é\\x00": invalid character U+0000 (at position 2)'],
    },
    {
      name: "an apply without a manager",
      errors: validatePatchOptions({}, true),
      want: ["fieldManager: Required value: is required for apply patch"],
    },
    { name: "a forced apply", errors: validatePatchOptions({ fieldManager: "m", force: true }, true), want: [] },
    {
      name: "a forced patch",
      errors: validatePatchOptions({ force: false }, false),
      want: ["force: Forbidden: may not be specified for non-apply patch"],
    },
    {
      name: "a deletion in the background",
      errors: validateDeleteOptions({ propagationPolicy: "Background" }),
      want: [],
    },
    {
      name: "an unknown propagation",
      errors: validateDeleteOptions({ propagationPolicy: "x" }),
      want: [
        'propagationPolicy: Unsupported value: "x": supported values: "Foreground", "Background", "Orphan", "nil"',
      ],
    },
    {
      name: "both propagations",
      errors: validateDeleteOptions({ propagationPolicy: "Orphan", orphanDependents: true }),
      want: [
        'propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
      ],
    },
    {
      name: "an unsafe deletion with a grace period and preconditions",
      errors: validateDeleteOptions({
        ignoreStoreReadErrorWithClusterBreakingPotential: true,
        gracePeriodSeconds: 0,
        preconditions: {},
      }),
      want: ["gracePeriodSeconds", "preconditions"].map((field) =>
        `ignoreStoreReadErrorWithClusterBreakingPotential: Invalid value: true: cannot be set together with .${field}`
      ),
    },
    {
      name: "an exact list",
      errors: validateListOptions({ resourceVersion: "5", resourceVersionMatch: "Exact" }),
      want: [],
    },
    {
      name: "a match without a revision",
      errors: validateListOptions({ resourceVersionMatch: "Exact" }),
      want: [`${MATCH} resourceVersionMatch is forbidden unless resourceVersion is provided`],
    },
    {
      name: "a match with continue",
      errors: validateListOptions({ resourceVersion: "5", resourceVersionMatch: "Exact", continue: "c" }),
      want: [`${MATCH} resourceVersionMatch is forbidden when continue is provided`],
    },
    {
      name: "an unknown match",
      errors: validateListOptions({ resourceVersion: "5", resourceVersionMatch: "x" }),
      want: ['resourceVersionMatch: Unsupported value: "x": supported values: "Exact", "NotOlderThan", ""'],
    },
    {
      name: "an exact match of revision 0",
      errors: validateListOptions({ resourceVersion: "0", resourceVersionMatch: "Exact" }),
      want: [`${MATCH} resourceVersionMatch "exact" is forbidden for resourceVersion "0"`],
    },
    {
      name: "initial events of a list",
      errors: validateListOptions({ sendInitialEvents: true }),
      want: ["sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"],
    },
    {
      name: "a streaming list",
      errors: validateListOptions({ watch: true, sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" }),
      want: [],
    },
    {
      name: "initial events without a match",
      errors: validateListOptions({ watch: true, sendInitialEvents: false }),
      want: [`${MATCH} sendInitialEvents requires setting resourceVersionMatch to NotOlderThan`],
    },
    {
      name: "a watch with a match",
      errors: validateListOptions({ watch: true, resourceVersionMatch: "Exact" }),
      want: [
        `${MATCH} resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided`,
        'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"',
      ],
    },
  ] as { name: string; errors: FieldError[]; want: string[] }[]
) {
  test(`options.ts reports ${want.length} faults for ${name}`, () => {
    assert.deepEqual(errors.map(formatFieldError), want);
  });
}
