package server

import (
	"context"
	"errors"

	"plumbline/app/fault"
	"plumbline/app/ident"
	"plumbline/gateway"
	"plumbline/inventory"
	"plumbline/web"
)

// batch is what is known of the batch that an exchange made, as the console has it. The
// error is of kind NotFound when nothing is.
func (s *Server) batch(ctx context.Context, org inventory.OrgID, exchange ident.ID) (web.Batch, error) {
	o, err := s.kept.OfExchange(ctx, org, exchange)
	if errors.Is(err, gateway.ErrNotKept) || err == nil && o.Kind == gateway.KeptResponse {
		return web.Batch{}, fault.New(fault.NotFound, "not_found", "Nothing is known of a batch of this exchange.")
	}
	if err != nil {
		return web.Batch{}, err
	}
	at := o.Standing()
	return web.Batch{ID: o.ID, Requests: o.Lot.Requests, Status: at.Status, At: at.At,
		Waiting: at.Waiting, Succeeded: at.Succeeded, Errored: at.Errored, Expired: at.Expired, Cancelled: at.Cancelled}, nil
}
