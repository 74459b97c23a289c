// Package web is the console: server-rendered pages and the API under /api/v1.
// Every route stands in one table (routes.go) with the permission that it needs.
// Pages work without script; static/ui.js only makes them quicker.
package web
