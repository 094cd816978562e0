"""The browser tool's server: HTTP over one project. `app.create_app` puts it together."""
