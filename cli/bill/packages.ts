/** The packages inside; made by scripts/licenses.ts, do not edit. */
import type { Packaged } from "./bill.ts";

/** What the single file is made of beside Node and our own sources. */
export const PACKAGES: readonly Packaged[] = [{
  "name": "@bomb.sh/tab",
  "version": "0.0.22",
  "integrity": "sha512-l5IuWpV7szqG4MM6A7I+qPMmP2qPMq2TD4veIXaOH0sD53dV0Tv8WZPARp5O5Kp4+y4fnVCl3VL1HZKNghO1yg==",
  "isDirect": true,
  "license": "MIT",
  "dependencies": ["commander"],
}, {
  "name": "@bufbuild/protobuf",
  "version": "2.17.0",
  "integrity": "sha512-hcPkSz6D7MiTU/5VBBhK+kxaYDoOdQ6yJRFJ3kS8Nydp+VZXfg1vrpABKPNod8bXMufsVCmiUJVIKFzCzta4uw==",
  "isDirect": true,
  "license": "Apache-2.0 AND BSD-3-Clause",
  "dependencies": [],
}, {
  "name": "@hono/node-server",
  "version": "2.1.9",
  "integrity": "sha512-Sk4NQd3GFY0WZWCzndwFMPwJhtD0y9qjsQ+pjID0/03nK9pxyBCUoUHCho8QYBLBVhi0ssL8UkNPHqbgSOFPIQ==",
  "isDirect": true,
  "license": "MIT",
  "dependencies": ["hono"],
}, {
  "name": "@logtape/logtape",
  "version": "2.4.2",
  "integrity": "sha512-YJyC1gEMgWmTqJTRtKkjgasEbi8/0gP7Dj8n6bL46gQIAhpTY8uXJ+1QYMOgF5asotlGMvy3G7ejXUe45Yd1MQ==",
  "isDirect": true,
  "license": "MIT",
  "dependencies": [],
}, {
  "name": "@opentelemetry/api",
  "version": "1.10.0",
  "integrity": "sha512-lMkyes8iHrG+mk6WH7X70MdCLI2RS0FwNBY1PyQ8UemaijE2m5mv5A0Niy3HtbYTFrgkUEQjFMXmSAk2hQDuPQ==",
  "isDirect": false,
  "license": "Apache-2.0",
  "dependencies": [],
}, {
  "name": "bintrees",
  "version": "1.0.2",
  "integrity": "sha512-VOMgTMwjAaUG580SXn3LacVgjurrbMme7ZZNYGSSV7mmtY6QQRh0Eg3pwIcntQ77DErK1L0NxkbetjcoXzVwKw==",
  "isDirect": false,
  "license": "MIT",
  "dependencies": [],
}, {
  "name": "commander",
  "version": "15.1.0",
  "integrity": "sha512-cgnQ88TRrWcC7pVq46RzJVRMktu3W2RcbnoidnfBsl1bmDCBwJS/udcIZpKoCrbAYYaCqsz1yZCVIgbIaU3ddQ==",
  "isDirect": true,
  "license": "MIT",
  "dependencies": [],
}, {
  "name": "hono",
  "version": "4.13.19",
  "integrity": "sha512-KmXvQAXwcAHV+muzbIwoJ23niEB5nMoDVr9WcRkU8mvjUECm/1+7v4Jgp7P7a+H6MLFrh+vXrGonGrGS+RQfkA==",
  "isDirect": true,
  "license": "MIT",
  "dependencies": [],
}, {
  "name": "prom-client",
  "version": "15.1.3",
  "integrity": "sha512-6ZiOBfCywsD4k1BN9IX0uZhF+tJkV8q8llP64G5Hajs4JOeVLPCwpPVcpXy3BwYiUGgyJzsJJQeOIv7+hDSq8g==",
  "isDirect": true,
  "license": "Apache-2.0",
  "dependencies": ["@opentelemetry/api", "tdigest"],
}, {
  "name": "tdigest",
  "version": "0.1.3",
  "integrity": "sha512-zbRt+lT+/H4fRItHshczHErVCQnitJk8MfMT24MqFJf3YL7SJJPqGIGeuOdvxXxM/AHFzKBl7WoyaYwqO9s3Kw==",
  "isDirect": false,
  "license": "MIT",
  "dependencies": ["bintrees"],
}, {
  "name": "yaml",
  "version": "2.9.1",
  "integrity": "sha512-3NxN8+78OdzbT7C/WjGsyfPAtJaN3FNDsWxv7Y7mcDsT/oOmgW8BpyQQFFBnvZE3j9Y2Sdz1ULFLezL7Eb2yFw==",
  "isDirect": true,
  "license": "ISC",
  "dependencies": [],
}];
