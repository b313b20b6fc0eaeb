package main

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"todod/httpapi"
	"todod/server"
)

// Where the rooms are put together: the node, and its public face.

// contacts is how a node speaks with those that --join names.
func contacts() server.Contacts { return httpapi.NewContacts() }

// face is the HTTP server of a node.
func face(n *server.Node, cfg server.Config, origins []string, log *slog.Logger, reg *prometheus.Registry) *http.Server {
	return httpapi.New(httpapi.Config{
		Node:           n,
		Logger:         log,
		Metrics:        reg,
		Advertised:     []string{cfg.AdvertiseHTTP},
		Origins:        origins,
		RequestTimeout: cfg.RequestTimeout,
	}).HTTPServer()
}
