package web

import (
	"net/http"

	"plumbline/app/fault"
	"plumbline/inventory"
)

type priceBody struct {
	inventory.Price `yaml:",inline"`
	change          `yaml:",inline"`
}

func (r *request) apiPrices() error {
	return r.answer(http.StatusOK, map[string]any{"prices": orEmpty(r.state.Prices)})
}

func (r *request) apiPutPrice() error {
	var in priceBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	p := in.Price
	p.Version = in.change.Version
	if id := r.param("id"); id != p.ID() {
		return fault.Field("id", "the path names the price %q, the body is %q: vendor/model@from", id, p.ID())
	}
	if err := r.web.d.Register.PutPrice(r.ctx(), r.actor, p, in.Reason); err != nil {
		return err
	}
	return row(r, func(s *inventory.State) []inventory.Price { return s.Prices }, "price", p.ID(), func(x *inventory.Price) bool { return x.ID() == p.ID() })
}
