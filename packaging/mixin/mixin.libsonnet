// Alerts and a dashboard for tlsboot, in the form of monitoring mixins. docs/guides/monitoring.md is their runbook.
(import 'config.libsonnet') +
(import 'alerts.libsonnet') +
(import 'dashboard.libsonnet')
