"""The pages of the dashboard: short scripts that call components, loaders and charts."""
