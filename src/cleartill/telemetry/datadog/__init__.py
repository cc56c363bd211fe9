"""What Datadog is given: dashboards, monitors, SLOs and the service definition, as JSON, one object a file.

A file holds exactly what Datadog's pages import and export and its API takes. `query` parses the queries in them,
`assets` loads the files and names every query, `validate` checks them against the API's typed models and the
catalogue, `push` brings an account to what the files say. `scripts/datadog` is the command line.

A file cannot know an id that Datadog will give. Where one belongs, it writes the other object's name: an SLO's in a
burn-rate query and in `slo_id`, a monitor's in `alert_id` and `monitor_ids`. `push` puts the ids in.
"""
