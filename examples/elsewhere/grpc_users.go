// The same as ../grpc_users.rs, beside what protoc-gen-go and protoc-gen-go-grpc make of ../user.proto.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	pb "example.com/users"
)

type server struct {
	pb.UnimplementedUsersServer
	lock     sync.Mutex
	users    map[string]*pb.User
	watchers map[chan *pb.User]struct{}
}

func (s *server) Create(ctx context.Context, user *pb.User) (*pb.User, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if _, known := s.users[user.Name]; known {
		return nil, status.Error(codes.AlreadyExists, user.Name)
	}
	s.users[user.Name] = user
	for watcher := range s.watchers {
		select {
		case watcher <- user:
		default:
			delete(s.watchers, watcher)
			close(watcher)
		}
	}
	return user, nil
}

func (s *server) Get(ctx context.Context, name *pb.UserName) (*pb.User, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	user, known := s.users[name.Name]
	if !known {
		return nil, status.Error(codes.NotFound, name.Name)
	}
	return user, nil
}

func (s *server) Watch(_ *pb.WatchUsers, stream grpc.ServerStreamingServer[pb.User]) error {
	news := make(chan *pb.User, 256)
	s.lock.Lock()
	known := make([]*pb.User, 0, len(s.users))
	for _, user := range s.users {
		known = append(known, user)
	}
	s.watchers[news] = struct{}{}
	s.lock.Unlock()
	defer func() {
		s.lock.Lock()
		delete(s.watchers, news)
		s.lock.Unlock()
	}()
	for _, user := range known {
		if err := stream.Send(user); err != nil {
			return err
		}
	}
	for {
		select {
		case user, open := <-news:
			if !open {
				return status.Error(codes.DataLoss, "too slow")
			}
			if err := stream.Send(user); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:50051")
	if err != nil {
		log.Fatal(err)
	}
	s := grpc.NewServer()
	users := &server{users: map[string]*pb.User{}, watchers: map[chan *pb.User]struct{}{}}
	pb.RegisterUsersServer(s, users)
	checks := health.NewServer()
	checks.SetServingStatus("users.Users", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(s, checks)
	reflection.Register(s)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		s.GracefulStop()
	}()
	log.Fatal(s.Serve(listener))
}
